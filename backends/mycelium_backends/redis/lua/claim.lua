-- Reserve tasks for those who want to claim them. ARGV: schema, the time now, when reservations end, then for each
-- request one JSON array: ["next", agent, [types], [queues], [capabilities], addressed] or ["return", task, version].
-- Answers each "next" with the task's record or false.
--
-- A reserved task is in no queue and in `reserved`, in one step, so it cannot be lost: whoever comes by when the
-- reservation has ended makes it ready again. The commit that makes it running also ends the reservation.

local unfit = check_types() or check_schema(ARGV[1])
if unfit then return unfit end
local now, ends = ARGV[2], ARGV[3]

local function set_of(list)
  local set = {}
  for _, each in ipairs(list) do
    set[each] = true
  end
  return set
end

local needs = {} -- by lane, its queue and then the capabilities that its tasks need

-- See `mycelium.models.task.lane_fits`.
local function lane_fits(lane, queues, capabilities)
  needs[lane] = needs[lane] or cjson.decode(lane)
  local queue, needed = needs[lane][1], needs[lane]
  if queues and not queues[queue] then return false end
  for i = 2, #needed do
    if not capabilities[needed[i]] then return false end
  end
  return true
end

-- The lanes with ready tasks of this owner. A ';' comes right after ':', which no owner's name contains.
local function lanes_of(owner)
  local found = call('ZRANGEBYLEX', S .. 'lanes', '[' .. owner .. ':', '(' .. owner .. ';')
  for i, member in ipairs(found) do
    found[i] = string.sub(member, #owner + 2)
  end
  return found
end

local any_lanes -- whether there is any ready task that has one

local function add_heads(keys, ready, types)
  if #types == 0 then keys[#keys + 1] = ready end
  for _, type in ipairs(types) do
    keys[#keys + 1] = ready .. ':' .. type
  end
end

local function add_lanes(keys, owner, wanted)
  for _, lane in ipairs(lanes_of(owner)) do
    if lane_fits(lane, wanted.queues, wanted.capabilities) then add_heads(keys, ready_of(owner, lane), wanted.types) end
  end
end

local function heads(agent, wanted)
  local keys = {}
  for _, owner in ipairs({agent, ''}) do
    local for_anyone = owner == '' and wanted.addressed
    if not wanted.queues and not for_anyone then add_heads(keys, ready_of(owner, ''), wanted.types) end
    if any_lanes then add_lanes(keys, owner, wanted) end
  end
  return keys
end

local function next_ready(agent, wanted)
  local best, best_at
  for _, key in ipairs(heads(agent, wanted)) do
    local head = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local at = tonumber(head[2])
    if at and (not best_at or at < best_at) then
      best, best_at = head[1], at
    end
  end
  return best
end

local function reserve(agent, types, queues, capabilities, addressed)
  local wanted = {
    types = types, queues = #queues > 0 and set_of(queues), capabilities = set_of(capabilities), addressed = addressed,
  }
  local id = next_ready(agent, wanted)
  if not id then return false end
  local entry = index_of('task', id)
  if not entry or entry[CLAIMABLE] ~= READY then
    return redis.error_reply('WRONGTYPE ' .. S .. 'ready: holds ' .. id .. ', which is not ready')
  end
  move(id, entry, RESERVED)
  call('ZADD', S .. 'reserved', ends, id)
  return call('HGET', S .. 'task', id)
end

local function give_back(id, version)
  local entry = index_of('task', id)
  if entry and entry[CLAIMABLE] == RESERVED and entry[VERSION] == version then
    move(id, entry, READY)
    any_lanes = any_lanes or lane_of(entry) ~= ''
  end
  return true
end

wake(now)
any_lanes = call('EXISTS', S .. 'lanes') == 1
local answers = {}
for i = 4, #ARGV do
  local request = cjson.decode(ARGV[i])
  local verb = request[1] == 'next' and reserve or give_back
  answers[i - 3] = verb(request[2], request[3], request[4], request[5], request[6])
end
return answers
