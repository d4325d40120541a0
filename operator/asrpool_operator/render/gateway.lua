-- What HAProxy's own language cannot say about newcomers: which pod, wait for room, count who waits, refuse in time.
--
-- A newcomer goes to a worker that has room: the fullest ("pack") or the emptiest ("spread"). Where none has, it waits
-- here, in order of arrival, until one has or its time is over. "held" is who waits while no worker is up (a pool at
-- zero), "queued" who waits while all of them are full. A session whose own pod is there (the stick table says which)
-- does not wait here: HAProxy queues it at that pod, before any newcomer.
--
-- Whom a worker does not take after all (it is full by another gateway's streams, it drains, it died) comes back here over
-- the frontend "again", and so does who waits in a process that was told to stop: the next process has the socket by then.

-- From the setenv lines of the configuration.
local BALANCE = os.getenv("ASRPOOL_BALANCE")
local QUEUE_MS = tonumber(os.getenv("ASRPOOL_QUEUE_MS"))
local MAX_WAITING = tonumber(os.getenv("ASRPOOL_MAX_QUEUED"))
local RESUME_MS = tonumber(os.getenv("ASRPOOL_RESUME_MS"))
local FORGET_MS = tonumber(os.getenv("ASRPOOL_ENTRY_MS"))

local BACKEND = "workers"
local AGAIN = "again"
-- A worker that refused gets no newcomers for so long, twice as long each time that the same stream was refused.
local SHUN_MS = 500
local MAX_TRIES = 8
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
local shunned_until_ms = {} -- address -> when newcomers may be sent there again
local stopping = false
local own_pods = {} -- address -> true, where a session that comes back can still go

local function now_ms()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

-- HAProxy takes a server that DNS just found as up until its first check is through. Newcomers must not be sent there
-- on that guess: only a worker whose last check passed is in service.
local function see_workers(now)
    workers, own_pods = {}, {}
    for name, server in pairs(core.backends[BACKEND].servers) do
        local address = name ~= AGAIN and server:get_addr() or "<unknown>"
        if address ~= "<unknown>" then
            local stats = server:get_stats()
            if stats.status == "UP" and stats.check_status == "L7OK" then
                local room = (tonumber(stats.slim) or 0) - stats.scur
                if now < (shunned_until_ms[address] or 0) then
                    room = 0
                end
                workers[#workers + 1] = { name = name, address = address, used = stats.scur, room = room }
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
    see_workers(now)
    stopping = tostring(core.get_info().Stopping) ~= "0"
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
    return best
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

-- Waits for a place; refuses, and returns nil, when the time is over.
local function wait_for_place(txn, entered)
    local place = waiting_count == 0 and take_place() or nil
    if not place and waiting_count >= MAX_WAITING then
        return refuse(txn, "no room, and the queue is full")
    end
    local ticket = next_ticket
    local me = { seen = now_ms(), ahead = waiting_count, may_go = false }
    next_ticket = next_ticket + 1
    while not place do
        if stopping then
            place = { name = AGAIN, address = "" }
        elseif me.seen - entered >= QUEUE_MS then
            leave(ticket)
            return refuse(txn, "no room within the time that a stream may wait")
        else
            if not waiting[ticket] then
                waiting[ticket] = me
                waiting_count = waiting_count + 1
            end
            core.msleep(math.min(LONGEST_POLL_MS, POLL_MS + me.ahead))
            me.seen = now_ms()
            look(me.seen)
            place = me.may_go and take_place() or nil
        end
    end
    leave(ticket)
    return place
end

-- The session's own pod, if it is still there, and whether it surely expects the session: within RESUME_MS after its last
-- stream. Not sure where this process cannot know (the entry came from another gateway, or from before a reload).
local function own_pod(session)
    local entry = session and core.backends[BACKEND].stktable:lookup(session)
    if not entry or not own_pods[entry.server_key] then
        return nil
    end
    local ended = ended_ms[session]
    if ended and now_ms() - ended > RESUME_MS then
        return nil
    end
    return entry.server_key, live[session] or ended ~= nil
end

-- Where a stream was before: since when it waits, how often it was tried, and the address that did not take it.
local function history(txn, now)
    local entered, tries, address = string.match(txn:get_var("txn.placed") or "", "^(%d+) (%d+) (%S*)$")
    return tonumber(entered) or now, tonumber(tries) or 0, address or ""
end

core.register_action("place", { "http-req" }, function(txn)
    local now = now_ms()
    local entered, tries, refused_by = history(txn, now)
    if refused_by ~= "" then
        shunned_until_ms[refused_by] = now + SHUN_MS * 2 ^ (tries - 1)
        next_look_ms = now
    end
    if tries >= MAX_TRIES then
        return refuse(txn, "no worker takes this stream")
    end
    look(now)
    local session = txn:get_var("txn.session")
    local address, surely = own_pod(session)
    if address and address ~= refused_by then
        txn:set_var("txn.comes_back", surely and "surely" or "perhaps")
    else
        local place = wait_for_place(txn, entered)
        if not place then
            return
        end
        txn:set_var("txn.worker", place.name)
        address = place.address
    end
    txn:set_var("txn.placed", string.format("%d %d %s", entered, address == "" and tries or tries + 1, address))
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
            shunned_until_ms = {}
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
