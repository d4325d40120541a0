-- What HAProxy's own language cannot say about newcomers: which pod, wait for room, count who waits, refuse in time.
--
-- A newcomer goes to a worker that has room: the fullest ("pack") or the emptiest ("spread"). Where none has, it waits
-- here, in order of arrival, until one has or its time is over. "held" is who waits while no worker is up (a pool at
-- zero), "queued" who waits while all of them are full. A session whose own pod is there (the stick table says which)
-- does not wait here: HAProxy queues it at that pod, before any newcomer.
--
-- Whom a worker does not take after all (it is full by another gateway's streams, it drains, it died) comes back here over
-- the frontend "again", and so does who waits in a process that was told to stop: the next process has the socket by then.
-- It keeps its place in the queue and its time. A refusal of a stream that came over "again" goes back to where it came
-- from and is tried anew there, so that a stream passes through this process twice at most, however often it was refused.

-- From the setenv lines of the configuration.
local BALANCE = os.getenv("ASRPOOL_BALANCE")
local QUEUE_MS = tonumber(os.getenv("ASRPOOL_QUEUE_MS"))
local MAX_WAITING = tonumber(os.getenv("ASRPOOL_MAX_QUEUED"))
local RESUME_MS = tonumber(os.getenv("ASRPOOL_RESUME_MS"))
local FORGET_MS = tonumber(os.getenv("ASRPOOL_ENTRY_MS"))
local MOST_ENDED = tonumber(os.getenv("ASRPOOL_MOST_ENDED"))

local BACKEND = "workers"
local AGAIN = "again"
-- A worker that refused gets no newcomers for so long, and then for so long one at a time; sooner where one of its streams
-- ends or its limit is raised.
local SHUN_MS = 600
local PROBE_MS = 400
-- HAProxy counts a refused stream for a moment yet.
local SETTLE_MS = 50
-- Who was refused is tried elsewhere for its time in the queue, and for so long where there is no queue.
local TRY_MS = math.max(QUEUE_MS, 1000)
-- The last word, towards the first pass of a stream that is in its second: a 503 would be tried anew. Clients see 503.
local REFUSED_FOR_GOOD = 598
local POLL_MS = 20
-- Far back in the queue nobody needs to look that often.
local LONGEST_POLL_MS = 250
-- A client that leaves takes its coroutine with it, without a word: who has not looked for so long is gone.
local GONE_AFTER_MS = 1000
-- Looking at many servers costs: at most a tenth of the time is spent on it.
local LOOK_SHARE = 10

-- How often it is seen which streams have ended.
local SWEEP_MS = 500

local queue = {} -- who waits, by arrival: {entered = ms, seen = ms, ahead = number, may_go = boolean, left = boolean}
local waiting_count = 0
local refused = 0
local next_look_ms = -1
local workers = {} -- {name = , address = , used = , room = }, those in service
local live = {} -- session -> true, where a stream of it was placed by this process and has not ended
local ended_ms = {} -- session -> when its last stream was seen to have ended
local ended = { first = 1, last = 0 } -- the same by time: number -> {session = , ms = }
local refusals = {} -- address -> the last one: {since = ms, used = , limit = , over = boolean}
local stopping = false
local own_pods = {} -- address -> true, where a session that comes back can still go

local function now_ms()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

local function note_refusal(address, placed, now)
    local last = refusals[address]
    -- One refusal is told here each time that the refused stream is tried anew: it counts once.
    if not last or last.since <= placed then
        refusals[address] = { since = now }
        next_look_ms = now
    end
end

local function refuses(address, now)
    local refusal = refusals[address]
    return refusal ~= nil and not refusal.over and now - refusal.since < SHUN_MS
end

-- How many newcomers a worker can be sent: not more than its last refusal lets one hope for.
local function room_of(address, used, limit, now)
    local room, refusal = limit - used, refusals[address]
    if not refusal or refusal.over then
        return room
    end
    local age = now - refusal.since
    if age < SETTLE_MS then
        return 0
    end
    refusal.limit = refusal.limit or limit
    if not refusal.used or (age < SHUN_MS and used > refusal.used) then
        refusal.used = used
    end
    if used < refusal.used or limit > refusal.limit or age >= SHUN_MS + PROBE_MS then
        refusal.over = true
        return room
    end
    return age < SHUN_MS and 0 or math.min(room, refusal.used + 1 - used)
end

-- HAProxy takes a server that DNS just found as up until its first check is through. Newcomers must not be sent there
-- on that guess: only a worker whose last check passed is in service ("* L7OK" while the next one runs).
local function see_workers(now)
    workers, own_pods = {}, {}
    for name, server in pairs(core.backends[BACKEND].servers) do
        local address = name ~= AGAIN and server:get_addr() or "<unknown>"
        if address ~= "<unknown>" then
            local stats = server:get_stats()
            if stats.status == "UP" and stats.check_status:match("^[* ]*L7OK$") then
                local room = room_of(address, stats.scur, tonumber(stats.slim) or 0, now)
                workers[#workers + 1] = { name = name, address = address, used = stats.scur, room = room }
            end
            own_pods[address] = stats.status:find("^UP") ~= nil or stats.status:find("^DRAIN") ~= nil
        end
    end
    -- Equal workers are taken in the order of their addresses, so that all gateways fill the same one first.
    table.sort(workers, function(one, other) return one.address < other.address end)
end

-- Who was refused meanwhile comes back to its place.
local function enter(waiter)
    local place = #queue + 1
    while place > 1 and queue[place - 1].entered > waiter.entered do
        place = place - 1
    end
    table.insert(queue, place, waiter)
    waiter.left = false
    waiting_count = waiting_count + 1
end

local function leave(waiter)
    if not waiter.left then
        waiter.left = true
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
    local still = {}
    for _, waiter in ipairs(queue) do
        if now - waiter.seen > GONE_AFTER_MS then
            leave(waiter)
        end
        if not waiter.left then
            waiter.ahead, waiter.may_go = #still, #still < room
            still[#still + 1] = waiter
        end
    end
    queue = still
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
    local status = txn:get_var("txn.again") and REFUSED_FOR_GOOD or 503
    local reply = txn:reply({ status = status, reason = "Service Unavailable" })
    reply:add_header("Retry-After", tostring(math.max(1, QUEUE_MS // 1000)))
    reply:add_header("Content-Type", "application/json")
    reply:add_header("Cache-Control", "no-store")
    reply:set_body('{"error":"' .. sentence .. '"}')
    txn:done(reply)
end

-- Waits for a place; refuses, and returns nil, when the time is over.
local function wait_for_place(txn, entered)
    local place = waiting_count == 0 and take_place() or nil
    -- Who was refused has a place in the queue, where there is one.
    local comes_anew = txn:get_var("txn.again") == nil or MAX_WAITING == 0
    if not place and comes_anew and waiting_count >= MAX_WAITING then
        return refuse(txn, "no room, and the queue is full")
    end
    local me = { entered = entered, seen = now_ms(), ahead = waiting_count, may_go = false, left = true }
    while not place do
        if stopping then
            place = { name = AGAIN, address = "" }
        elseif me.seen - entered >= QUEUE_MS then
            leave(me)
            return refuse(txn, "no room within the time that a stream may wait")
        else
            if me.left then
                enter(me)
            end
            core.msleep(math.min(LONGEST_POLL_MS, POLL_MS + me.ahead))
            me.seen = now_ms()
            look(me.seen)
            place = not me.left and me.may_go and take_place() or nil
        end
    end
    leave(me)
    return place
end

-- The session's own pod, if it is still there, and whether it surely expects the session: within RESUME_MS after its last
-- stream. Not sure where this process cannot know (the entry came from another gateway, or from before a reload).
local function own_pod(session)
    local entry = session and core.backends[BACKEND].stktable:lookup(session)
    if not entry or not own_pods[entry.server_key] then
        return nil
    end
    local end_ms = ended_ms[session]
    if end_ms and now_ms() - end_ms > RESUME_MS then
        return nil
    end
    return entry.server_key, live[session] or end_ms ~= nil
end

-- Where a stream was before: since when it waits, when it was last placed, and the address where it was.
local function history(txn, now)
    local entered, placed, address = string.match(txn:get_var("txn.placed") or "", "^(%d+) (%d+) (%S*)$")
    return tonumber(entered) or now, tonumber(placed) or now, address or ""
end

core.register_action("place", { "http-req" }, function(txn)
    local now = now_ms()
    local entered, placed, refused_by = history(txn, now)
    if refused_by ~= "" then
        note_refusal(refused_by, placed, now)
    end
    if now - entered > TRY_MS then
        return refuse(txn, "no worker took this stream within the time that it may wait")
    end
    look(now)
    local session = txn:get_var("txn.session")
    local address, surely = own_pod(session)
    if address and address ~= refused_by and (surely or not refuses(address, now)) then
        txn:set_var("txn.comes_back", surely and "surely" or "perhaps")
    else
        local place = wait_for_place(txn, entered)
        if not place then
            return
        end
        txn:set_var("txn.worker", place.name)
        address = place.address
    end
    txn:set_var("txn.placed", string.format("%d %d %s", entered, now_ms(), address))
    if session and session ~= "" then
        live[session], ended_ms[session] = true, nil
    end
end)

-- A worker's 503 to a stream in its second pass; in the first pass HAProxy tries anew without asking here.
core.register_action("refused", { "http-res" }, function(txn)
    local now = now_ms()
    local _, placed, address = history(txn, now)
    if address ~= "" then
        note_refusal(address, placed, now)
    end
end)

local function remember_end(session, now)
    ended_ms[session] = now
    ended.last = ended.last + 1
    ended[ended.last] = { session = session, ms = now }
end

-- What the stick table has forgotten too, and the oldest of too many: of those it is not sure any more when they ended.
local function forget_ends(now)
    while ended.first <= ended.last do
        local oldest = ended[ended.first]
        if ended.last - ended.first < MOST_ENDED and now - oldest.ms <= FORGET_MS then
            return
        end
        if ended_ms[oldest.session] == oldest.ms then
            ended_ms[oldest.session] = nil
        end
        ended[ended.first] = nil
        ended.first = ended.first + 1
    end
end

-- HAProxy tells nobody that a stream has ended: the number of streams that track the session's entry does.
core.register_task(function()
    while true do
        core.msleep(SWEEP_MS)
        local table, now = core.backends[BACKEND].stktable, now_ms()
        for session in pairs(live) do
            local entry = table:lookup(session)
            if not entry or entry.conn_cur == 0 then
                live[session] = nil
                if entry then
                    remember_end(session, now)
                end
            end
        end
        forget_ends(now)
        for address, refusal in pairs(refusals) do
            if now - refusal.since > TRY_MS + SHUN_MS + PROBE_MS then
                refusals[address] = nil
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
