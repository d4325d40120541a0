-- What HAProxy's own language cannot say about newcomers: which pod, wait for room, count who waits, refuse in time.
--
-- A newcomer goes to a worker that has room: the fullest ("pack") or the emptiest ("spread"). Where none has, it waits
-- here, in order of arrival, until one has or its time is over. "held" is who waits while no worker is up (a pool at
-- zero), "queued" who waits while all of them are full. A session whose own pod is there (the stick table says which)
-- does not wait here: HAProxy queues it at that pod, before any newcomer.
--
-- If this file fails, HAProxy's own balancing and queue still serve: nothing else depends on it.

-- From the setenv lines of the configuration.
local BALANCE = os.getenv("ASRPOOL_BALANCE")
local QUEUE_MS = tonumber(os.getenv("ASRPOOL_QUEUE_MS"))
local MAX_WAITING = tonumber(os.getenv("ASRPOOL_MAX_QUEUED"))
local RESUME_MS = tonumber(os.getenv("ASRPOOL_RESUME_MS"))
local FORGET_MS = tonumber(os.getenv("ASRPOOL_ENTRY_MS"))

local BACKEND = "workers"
local POLL_MS = 20
-- Far back in the queue nobody needs to look that often.
local LONGEST_POLL_MS = 250
-- A client that leaves takes its coroutine with it, without a word: who has not looked for so long is gone.
local GONE_AFTER_MS = 1000
-- Looking at many servers costs: at most a tenth of the time is spent on it.
local LOOK_SHARE = 10

-- How often it is seen which streams have ended.
local SWEEP_MS = 500
-- How often sessions are forgotten that the stick table has forgotten too.
local FORGET_EACH_MS = 60000

local next_ticket = 1
local oldest_ticket = 1
local waiting = {} -- ticket -> {seen = ms, ahead = number, may_go = boolean}
local waiting_count = 0
local refused = 0
local next_look_ms = -1
local workers = {} -- {name = , address = , used = , room = }, those in service
local live = {} -- session -> true, where a stream of it was placed by this process and has not ended
local ended_ms = {} -- session -> when its last stream was seen to have ended
local next_forget_ms = 0
local own_pods = {} -- address -> true, where a session that comes back can still go

local function now_ms()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

-- HAProxy takes a server that DNS just found as up until its first check is through. Newcomers must not be sent there
-- on that guess: only a worker whose last check passed is in service.
local function see_workers()
    workers, own_pods = {}, {}
    for name, server in pairs(core.backends[BACKEND].servers) do
        local address = server:get_addr()
        if address ~= "<unknown>" then
            local stats = server:get_stats()
            if stats.status == "UP" and stats.check_status == "L7OK" then
                local limit = tonumber(stats.slim) or 0
                workers[#workers + 1] = { name = name, address = address, used = stats.scur, room = limit - stats.scur }
            end
            own_pods[address] = stats.status:find("^UP") ~= nil or stats.status:find("^DRAIN") ~= nil
        end
    end
    -- Equal workers are taken in the order of their addresses, so that all gateways fill the same one first.
    table.sort(workers, function(one, other) return one.address < other.address end)
end

local function leave(ticket)
    if waiting[ticket] then
        waiting[ticket] = nil
        waiting_count = waiting_count - 1
    end
end

-- Sees the workers anew, forgets who is gone, and lets go as many as there is room for, in order of arrival.
local function look(now)
    if now < next_look_ms then
        return
    end
    see_workers()
    local room = 0
    for _, worker in ipairs(workers) do
        room = room + math.max(0, worker.room)
    end
    local ahead, oldest = 0, nil
    for ticket = oldest_ticket, next_ticket - 1 do
        local waiter = waiting[ticket]
        if waiter and now - waiter.seen > GONE_AFTER_MS then
            leave(ticket)
        elseif waiter then
            oldest = oldest or ticket
            waiter.ahead, waiter.may_go = ahead, ahead < room
            ahead = ahead + 1
        end
    end
    oldest_ticket = oldest or next_ticket
    next_look_ms = now + math.max(POLL_MS, LOOK_SHARE * (now_ms() - now))
end

-- Takes a place on a worker; nil where there is none.
local function take_place()
    local best = nil
    for _, worker in ipairs(workers) do
        if worker.room > 0 then
            local better = best == nil
                or (BALANCE == "pack" and worker.used > best.used)
                or (BALANCE == "spread" and worker.used < best.used)
            best = better and worker or best
        end
    end
    if best then
        best.used, best.room = best.used + 1, best.room - 1
    end
    return best and best.name
end

local function refuse(txn, sentence)
    refused = refused + 1
    local reply = txn:reply({ status = 503, reason = "Service Unavailable" })
    reply:add_header("Retry-After", tostring(math.max(1, QUEUE_MS // 1000)))
    reply:add_header("Content-Type", "application/json")
    reply:add_header("Cache-Control", "no-store")
    reply:set_body('{"error":"' .. sentence .. '"}')
    txn:done(reply)
end

-- Waits for a place and names it in txn.worker; refuses when the time is over.
local function place_newcomer(txn)
    local entered = now_ms()
    local place = waiting_count == 0 and take_place() or nil
    if not place and waiting_count >= MAX_WAITING then
        return refuse(txn, "no room, and the queue is full")
    end
    local ticket = next_ticket
    local me = { seen = entered, ahead = waiting_count, may_go = false }
    next_ticket = next_ticket + 1
    while not place do
        if not waiting[ticket] then
            waiting[ticket] = me
            waiting_count = waiting_count + 1
        end
        core.msleep(math.min(LONGEST_POLL_MS, POLL_MS + me.ahead))
        me.seen = now_ms()
        look(me.seen)
        place = me.may_go and take_place() or nil
        if not place and me.seen - entered >= QUEUE_MS then
            leave(ticket)
            return refuse(txn, "no room within the time that a stream may wait")
        end
    end
    leave(ticket)
    txn:set_var("txn.worker", place)
end

-- Whose own pod is still there, and since when its last stream is over: "surely" within RESUME_MS, "perhaps" where this
-- process cannot know (the entry came from another gateway, or from before a reload), nil where it is a newcomer.
local function comes_back(session)
    local entry = session and core.backends[BACKEND].stktable:lookup(session)
    if not entry or not own_pods[entry.server_key] then
        return nil
    end
    if live[session] then
        return "surely"
    end
    local ended = ended_ms[session]
    if not ended then
        return "perhaps"
    end
    return now_ms() - ended <= RESUME_MS and "surely" or nil
end

core.register_action("place", { "http-req" }, function(txn)
    look(now_ms())
    local session = txn:get_var("txn.session")
    local back = comes_back(session)
    if back then
        txn:set_var("txn.comes_back", back)
    else
        place_newcomer(txn)
    end
    if session and session ~= "" then
        live[session], ended_ms[session] = true, nil
    end
end)

-- HAProxy tells nobody that a stream has ended: the number of streams that track the session's entry does.
core.register_task(function()
    while true do
        core.msleep(SWEEP_MS)
        local table, now = core.backends[BACKEND].stktable, now_ms()
        for session in pairs(live) do
            local entry = table:lookup(session)
            if not entry or entry.conn_cur == 0 then
                live[session] = nil
                ended_ms[session] = entry and now or nil
            end
        end
        if now > next_forget_ms then
            next_forget_ms = now + FORGET_EACH_MS
            for session, ended in pairs(ended_ms) do
                if now - ended > FORGET_MS then
                    ended_ms[session] = nil
                end
            end
        end
    end
end)

core.register_service("held", "http", function(applet)
    look(now_ms())
    local held = #workers == 0 and waiting_count or 0
    local body = string.format('{"held": %d, "queued": %d, "refused": %d}', held, waiting_count - held, refused)
    applet:set_status(200)
    applet:add_header("content-type", "application/json")
    applet:add_header("content-length", tostring(#body))
    applet:start_response()
    applet:send(body)
end)
