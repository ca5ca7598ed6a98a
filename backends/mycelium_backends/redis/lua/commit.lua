-- Apply changes, each whole or not at all. ARGV: schema, sender, the number of its batch, then for each change
-- its description as JSON and the texts it refers to. A change is applied only if what its rule saw still holds.
--
-- Returns the server's time and an answer for each change: {"ok", last event}, {"stale"}, {"exists", kind, key},
-- {"history", last event}, {"type", key} or {"failed", what the server said}. A batch that comes again, because its answer was lost, is answered as
-- the first time.

local unfit = check_types() or check_schema(ARGV[1])
if unfit then return unfit end

local SENDER = S .. 'sender:' .. ARGV[2]
local REMEMBERED = 3600 -- seconds that the answer to a sender's last batch is kept
local WORKFLOW_TTL = 3600 -- seconds that a workflow's hash is kept after its last change

local earlier = call('GET', SENDER)
if earlier then
  local batch = cmsgpack.unpack(earlier)
  if batch[1] == ARGV[3] then
    return batch[2]
  elseif tonumber(batch[1]) > tonumber(ARGV[3]) then
    return redis.error_reply('LATE batch: its sender has given it up')
  end
end

local meta = call('HMGET', META, 'store_id', 'seq', 'tasks')
local store_id, seq, tasks = meta[1], tonumber(meta[2] or '0'), tonumber(meta[3] or '0')

-- What a rule saw ------------------------------------------------------------------------------------------------

local function version_of(kind, key)
  local entry = index_of(kind, key)
  return entry and entry[VERSION] or 0
end

local SINCE = {agent = AGENT_DUE, trigger = TRIGGER_MADE} -- what tells two of the same name and version apart

local function is_as_seen(kind, key, version, since)
  return version_of(kind, key) == version and (since == '' or index_of(kind, key)[SINCE[kind]] == since)
end

-- It waits on one of the witnesses; or, where there is none, still on so many.
local function waits_as_before(id, witnesses, count)
  for _, other in ipairs(witnesses) do
    if call('SISMEMBER', S .. 'waits:' .. id, other) == 1 then return true end
  end
  return #witnesses == 0 and call('SCARD', S .. 'waits:' .. id) == count
end

local function tasks_of(workflow, statuses)
  local sum = 0
  for _, status in ipairs(statuses) do
    sum = sum + tonumber(call('HGET', S .. 'workflow:' .. workflow .. ':counts', status) or 0)
  end
  return sum
end

local holds = {
  record = is_as_seen,
  key = function(key, id) return (call('HGET', S .. 'keys', key) or '') == id end,
  waiters = function(id, added) return tonumber(call('HGET', S .. 'waiters:' .. id, '') or 0) == added end,
  waits = waits_as_before,
  tasks = function(workflow, statuses, besides, answer) return (tasks_of(workflow, statuses) > besides) == answer end,
}

local function still_true(seen)
  for _, fact in ipairs(seen) do
    if not holds[fact[1]](fact[2], fact[3], fact[4], fact[5]) then return false end
  end
  return true
end

-- What stands in the way of a change -----------------------------------------------------------------------------

local VISIBLE = {agent = 'agents:status:', workflow = 'workflows:'}

local function wrong_of_task(id, entry)
  local before = index_of('task', id)
  return wrong_of_ready(entry)
    or before and (wrong(S .. 'waits:' .. id, 'set') or wrong(S .. 'waiters:' .. id, 'hash'))
    or before and before[HOLDER] ~= '' and wrong(S .. 'tasks:held:' .. before[HOLDER], 'zset')
    or entry[ASSIGNED] ~= '' and wrong(S .. 'tasks:assigned:' .. entry[ASSIGNED], 'zset')
    or entry[HOLDER] ~= '' and wrong(S .. 'tasks:held:' .. entry[HOLDER], 'zset')
    or entry[WORKFLOW] ~= '' and (wrong(S .. 'tasks:workflow:' .. entry[WORKFLOW], 'zset')
      or wrong(S .. 'workflow:' .. entry[WORKFLOW] .. ':counts', 'hash'))
    or entry[BLOCKED] == 1 and wrong(S .. 'waits:' .. id, 'set')
end

local function wrong_of_waiting(new)
  for _, other in ipairs(new[2]) do
    local at = wrong(S .. 'waiters:' .. other, 'hash')
    if at then return at end
  end
end

-- Asked before anything else, since it is their indexes that all else is asked of.
local function wrong_of_kinds(change)
  for _, records in ipairs({change.puts, change.removes}) do
    for _, each in ipairs(records) do
      local at = wrong_of_rare(each[1])
      if at then return at end
    end
  end
end

local function wrong_of(change)
  for _, put in ipairs(change.puts) do
    local kind, key = put[1], put[2]
    local at = kind == 'task' and wrong_of_task(key, put[4])
      or VISIBLE[kind] and wrong(P .. VISIBLE[kind] .. key, 'hash')
      or kind == 'workflow' and wrong(S .. 'workflow:' .. key .. ':counts', 'hash')
    if at then return at end
  end
  for _, gone in ipairs(change.removes) do
    local kind, key = gone[1], gone[2]
    local at = VISIBLE[kind] and wrong(P .. VISIBLE[kind] .. key, 'hash')
    if at then return at end
  end
  for _, new in ipairs(change.waiting) do
    local at = wrong_of_waiting(new)
    if at then return at end
  end
  for _, event in ipairs(change.events) do
    local at = wrong(S .. 'log:' .. event[1], 'stream')
    if at then return at end
  end
  for _, event in ipairs(change.history) do
    local at = wrong(S .. 'log:' .. event[3], 'stream')
    if at then return at end
  end
end

local function obstacle(change)
  if #change.history > 0 and seq > 0 then
    return {'history', number(seq)}
  end
  for _, put in ipairs(change.puts) do
    if put[3] == 1 and version_of(put[1], put[2]) > 0 then
      return {'exists', put[1], put[2]}
    end
  end
  local at = wrong_of(change)
  if at then return {'type', at} end
end

-- Writing --------------------------------------------------------------------------------------------------------

local function count_agents(status, by)
  call('HINCRBY', S .. 'agents:counts', status, by)
end

local function rescore(kind, key, before, due)
  if due ~= '' then
    call('ZADD', S .. 'due', due, kind .. ':' .. key)
  elseif before and before ~= '' then
    call('ZREM', S .. 'due', kind .. ':' .. key)
  end
end

local function is_open(entry)
  return entry[STATUS] == 'pending' or entry[STATUS] == 'running'
end

local function add_waits(id, dependencies, run_when)
  for _, other in ipairs(dependencies) do
    local entry = index_of('task', other)
    if entry and is_open(entry) then
      call('SADD', S .. 'waits:' .. id, other)
      call('HINCRBY', S .. 'waiters:' .. other, '', 1)
    end
    if entry and entry[STATUS] ~= 'completed' then -- see `end_waits`
      call('HSET', S .. 'waiters:' .. other, id, run_when)
    end
  end
end

local function is_blocked(id)
  local entry = index_of('task', id)
  return entry and entry[BLOCKED] == 1
end

-- It has its outcome: nobody waits on it any more. Unless it is completed it may be tried again, so it is noted in
-- `waiters` who still waits on others; whether they still do is asked when it comes to that.
local function end_waits(id, status)
  local key, gone, noted = S .. 'waiters:' .. id, {}, 0
  local waiters = call('HKEYS', key)
  if #waiters == 0 then return end
  for _, waiter in ipairs(waiters) do
    if waiter ~= '' then
      call('SREM', S .. 'waits:' .. waiter, id)
      if status ~= 'completed' and is_blocked(waiter) then noted = noted + 1 else gone[#gone + 1] = waiter end
    end
  end
  if noted == 0 then
    call('DEL', key)
    return
  end
  for _, waiter in ipairs(gone) do
    call('HDEL', key, waiter)
  end
end

-- It is tried again: those wait on it who waited when it had its outcome and are blocked by others now.
local function wait_again(id)
  for _, waiter in ipairs(call('HKEYS', S .. 'waiters:' .. id)) do
    if waiter ~= '' and is_blocked(waiter) then
      call('SADD', S .. 'waits:' .. waiter, id)
    else
      call('HDEL', S .. 'waiters:' .. id, waiter)
    end
  end
end

local function forget_waits(id)
  for _, other in ipairs(call('SMEMBERS', S .. 'waits:' .. id)) do
    call('HDEL', S .. 'waiters:' .. other, id)
  end
  call('DEL', S .. 'waits:' .. id)
end

local function show_progress(workflow)
  local entry = index_of('workflow', workflow)
  if not entry or entry[FLOW_BY_HAND] == 1 then return end
  local counts, all, open = call('HGETALL', S .. 'workflow:' .. workflow .. ':counts'), 0, 0
  for i = 1, #counts, 2 do
    all = all + tonumber(counts[i + 1])
    if counts[i] == 'pending' or counts[i] == 'running' then open = open + tonumber(counts[i + 1]) end
  end
  local key = P .. 'workflows:' .. workflow
  if all > 0 and is_of_type(key, 'hash') then
    call('HSET', key, 'status', entry[FLOW_STATUS], 'progress', string.format('%.4g', (all - open) / all))
    call('EXPIRE', key, WORKFLOW_TTL)
  end
end

local function count_status(id, entry, before)
  local n = number(entry[NUMBER])
  if before then
    if before[STATUS] == entry[STATUS] then return end
    call('ZREM', S .. 'tasks:status:' .. before[STATUS], id)
  end
  call('ZADD', S .. 'tasks:status:' .. entry[STATUS], n, id)
  if entry[WORKFLOW] == '' then return end
  local counts = S .. 'workflow:' .. entry[WORKFLOW] .. ':counts'
  if before then call('HINCRBY', counts, before[STATUS], -1) end
  call('HINCRBY', counts, entry[STATUS], 1)
  if before and is_open(before) ~= is_open(entry) then show_progress(entry[WORKFLOW]) end
end

local function set_holder(id, entry, before)
  local was = before and before[HOLDER] or ''
  if was == entry[HOLDER] then return end
  if was ~= '' then call('ZREM', S .. 'tasks:held:' .. was, id) end
  if entry[HOLDER] ~= '' then call('ZADD', S .. 'tasks:held:' .. entry[HOLDER], number(entry[NUMBER]), id) end
end

local function register(id, entry)
  local n = number(entry[NUMBER])
  call('ZADD', S .. 'tasks', n, id)
  if entry[ASSIGNED] ~= '' then call('ZADD', S .. 'tasks:assigned:' .. entry[ASSIGNED], n, id) end
  if entry[WORKFLOW] ~= '' then call('ZADD', S .. 'tasks:workflow:' .. entry[WORKFLOW], n, id) end
  if entry[KEY] ~= '' then call('HSET', S .. 'keys', entry[KEY], id) end
end

local function put_task(id, entry)
  local before = index_of('task', id)
  if before then
    entry[NUMBER] = before[NUMBER]
    leave(id, before)
  else
    tasks = tasks + 1
    entry[NUMBER] = tasks
    register(id, entry)
  end
  enter(id, entry, not before)
  count_status(id, entry, before)
  set_holder(id, entry, before)
  rescore('task', id, before and before[DUE], entry[DUE])
  if before and before[BLOCKED] == 1 and entry[BLOCKED] == 0 then forget_waits(id) end
  write_index('task', id, entry)
end

local function put_agent(name, entry, shown)
  local before = index_of('agent', name)
  if not before then
    call('ZADD', S .. 'agents', 0, name)
  elseif before[AGENT_STATUS] ~= entry[AGENT_STATUS] then
    count_agents(before[AGENT_STATUS], -1)
  end
  if not before or before[AGENT_STATUS] ~= entry[AGENT_STATUS] then count_agents(entry[AGENT_STATUS], 1) end
  rescore('agent', name, before and before[AGENT_DUE], entry[AGENT_DUE])
  write_index('agent', name, entry)
  local key = P .. 'agents:status:' .. name
  call('HSET', key, unpack(shown.fields))
  call('PEXPIRE', key, shown.ttl)
end

-- Trigger and workflow: in the list of all of their kind, and in that of their status.
local function list_by_status(kind, key, n, status, before)
  call('ZADD', S .. kind .. 's', number(n), key)
  if before == status then return end
  if before then call('ZREM', S .. kind .. 's:status:' .. before, key) end
  call('ZADD', S .. kind .. 's:status:' .. status, number(n), key)
end

local function put_workflow(id, entry, shown)
  local before = index_of('workflow', id)
  entry[FLOW_NUMBER] = before and before[FLOW_NUMBER] or call('HINCRBY', META, 'workflows', 1)
  list_by_status('workflow', id, entry[FLOW_NUMBER], entry[FLOW_STATUS], before and before[FLOW_STATUS])
  rescore('workflow', id, before and before[FLOW_DUE], entry[FLOW_DUE])
  write_index('workflow', id, entry)
  local key = P .. 'workflows:' .. id
  call('HSET', key, unpack(shown.fields))
  call('EXPIRE', key, WORKFLOW_TTL)
end

local function put_trigger(id, entry)
  local before = index_of('trigger', id)
  entry[TRIGGER_NUMBER] = before and before[TRIGGER_NUMBER] or call('HINCRBY', META, 'triggers', 1)
  list_by_status('trigger', id, entry[TRIGGER_NUMBER], entry[TRIGGER_STATUS], before and before[TRIGGER_STATUS])
  rescore('trigger', id, before and before[TRIGGER_DUE], entry[TRIGGER_DUE])
  write_index('trigger', id, entry)
end

local function put_keeper(key, entry)
  write_index('keeper', key, entry)
end

local put = {
  task = put_task, agent = put_agent, workflow = put_workflow, trigger = put_trigger, keeper = put_keeper,
}

local function remove_agent(name, before)
  count_agents(before[AGENT_STATUS], -1)
  call('DEL', P .. 'agents:status:' .. name)
end

local function remove_trigger(id, before)
  call('ZREM', S .. 'triggers:status:' .. before[TRIGGER_STATUS], id)
end

local remove_rest = {agent = remove_agent, trigger = remove_trigger}

local function remove(kind, key)
  local before = index_of(kind, key)
  if not before then return end
  remove_rest[kind](key, before)
  call('ZREM', S .. kind .. 's', key)
  call('ZREM', S .. 'due', kind .. ':' .. key)
  remove_index(kind, key)
  call('HDEL', S .. kind, key)
end

local function append(at, id, channel, rest)
  local n = number(at)
  local event = '{"seq":' .. n .. ',"id":' .. id .. ',' .. rest
  call('XADD', P .. 'events', n .. '-0', 'event', event)
  call('XADD', S .. 'log:' .. channel, n .. '-0', 'n', '')
  return event
end

-- Those of a change's tasks that had none of an outcome and have one now, or the reverse.
local function turned(puts, is_as_before)
  local found = {}
  for _, each in ipairs(puts) do
    local before = each[1] == 'task' and index_of('task', each[2])
    if before and is_as_before(before) and not is_as_before(each[4]) then found[#found + 1] = each end
  end
  return found
end

local function is_over(entry)
  return not is_open(entry)
end

local function apply(change, texts)
  local new_waiters = {}
  for _, each in ipairs(change.waiting) do
    if not is_blocked(each[1]) then new_waiters[#new_waiters + 1] = each end
  end
  local ended, tried_again = turned(change.puts, is_open), turned(change.puts, is_over)
  for _, each in ipairs(change.puts) do
    call('HSET', S .. each[1], each[2], ARGV[texts + each[5]])
    put[each[1]](each[2], each[4], each[6])
  end
  for _, each in ipairs(ended) do
    end_waits(each[2], each[4][STATUS])
  end
  for _, each in ipairs(tried_again) do
    wait_again(each[2])
  end
  for _, each in ipairs(new_waiters) do
    add_waits(each[1], each[2], each[3])
  end
  for _, workflow in ipairs(change.workflows) do
    show_progress(workflow)
  end
  for _, gone in ipairs(change.removes) do
    remove(gone[1], gone[2])
  end
  for _, event in ipairs(change.history) do
    append(event[1], event[2], event[3], ARGV[texts + event[4]])
    seq = event[1]
  end
  for _, event in ipairs(change.events) do
    seq = seq + 1
    local said = append(seq, '"' .. store_id .. '-' .. number(seq) .. '"', event[1], ARGV[texts + event[2]])
    call('PUBLISH', P .. event[1], said)
  end
end

local function answer(change, texts)
  local at = wrong_of_kinds(change)
  if at then return {'type', at} end
  if not still_true(change.seen) then return {'stale'} end
  local refusal = obstacle(change)
  if refusal then return refusal end
  apply(change, texts)
  return {'ok', number(#change.events > 0 and seq or 0)}
end

local answers, wrote, at = {}, false, 4
while at <= #ARGV do
  local change = cjson.decode(ARGV[at])
  local whole, said = pcall(answer, change, at)
  -- What fails halfway was neither seen by its rule nor by `obstacle`: it must not take its neighbours with it.
  answers[#answers + 1] = whole and said or {'failed', type(said) == 'table' and said.err or tostring(said)}
  wrote = wrote or not whole or (said[1] == 'ok' and change.writes)
  at = at + 1 + change.texts
end

local now = call('TIME')
local reply = {now[1], now[2], answers}
if wrote then
  call('HSET', META, 'seq', number(seq), 'tasks', number(tasks))
  call('SET', SENDER, cmsgpack.pack({ARGV[3], reply}), 'EX', REMEMBERED)
  call('PUBLISH', P .. 'store:changes', number(seq))
end
return reply
