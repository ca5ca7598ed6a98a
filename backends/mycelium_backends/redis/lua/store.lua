-- What all scripts share: where things are kept, and how a task moves between the indexes it is found by.
-- KEYS[1] is `{namespace}:store:meta`. All keys begin with `{namespace}:`, so that a cluster keeps them together.

local P = string.sub(KEYS[1], 1, -11)
local S = P .. 'store:'
local META = KEYS[1]
local PRIORITIES = {[0] = 'low', 'normal', 'high', 'critical'}
local AHEAD = 2 ^ 50 -- the distance between two priorities in the order of claims
local READY, LATER, RESERVED = 1, 2, 3 -- how a task may be claimed; 0 where it may not

-- The columns of an agent's index entry, of a workflow's, of a trigger's, and of a task's; the first is the version in
-- all of them. Entries of schema 1 end before a workflow's DUE and a task's LANE: nothing there has a time or a lane.
-- What people wait for in `waiters:<task>` stands under the waiter's id; under '' stands how many ever began to wait,
-- since that only grows.
local AGENT_VERSION, AGENT_STATUS, AGENT_DUE = 1, 2, 3
local FLOW_VERSION, FLOW_NUMBER, FLOW_STATUS, FLOW_BY_HAND, FLOW_DUE = 1, 2, 3, 4, 5
local TRIGGER_VERSION, TRIGGER_NUMBER, TRIGGER_STATUS, TRIGGER_DUE, TRIGGER_MADE = 1, 2, 3, 4, 5
local VERSION, NUMBER, STATUS, RANK, ASSIGNED, HOLDER, WORKFLOW, CLAIMABLE, DUE, TYPE, KEY, BLOCKED, LANE =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13

local TASK_STATUSES = {'pending', 'running', 'completed', 'failed', 'cancelled', 'skipped'}
local WORKFLOW_STATUSES = {'running', 'paused', 'compensating', 'completed', 'failed', 'cancelled'}
local TRIGGER_STATUSES = {'active', 'done', 'stopped'}

local call = redis.call

local TYPES = {
  [META] = 'hash', [S .. 'task'] = 'hash', [S .. 'agent'] = 'hash', [S .. 'workflow'] = 'hash',
  [S .. 'task:index'] = 'hash', [S .. 'agent:index'] = 'hash', [S .. 'workflow:index'] = 'hash',
  [S .. 'agents:counts'] = 'hash', [S .. 'keys'] = 'hash', [S .. 'tasks'] = 'zset', [S .. 'ready'] = 'zset',
  [S .. 'later'] = 'zset', [S .. 'reserved'] = 'zset', [S .. 'due'] = 'zset', [S .. 'agents'] = 'zset',
  [S .. 'workflows'] = 'zset', [S .. 'lanes'] = 'zset', [P .. 'events'] = 'stream',
  [P .. 'tasks:queue:low'] = 'list', [P .. 'tasks:queue:normal'] = 'list', [P .. 'tasks:queue:high'] = 'list',
  [P .. 'tasks:queue:critical'] = 'list',
}
for _, status in ipairs(TASK_STATUSES) do
  TYPES[S .. 'tasks:status:' .. status] = 'zset'
end
for _, status in ipairs(WORKFLOW_STATUSES) do
  TYPES[S .. 'workflows:status:' .. status] = 'zset'
end

-- What most calls have nothing to do with: looked at by those that have.
local RARE = {
  keeper = {[S .. 'keeper'] = 'hash', [S .. 'keeper:index'] = 'hash'},
  trigger = {[S .. 'trigger'] = 'hash', [S .. 'trigger:index'] = 'hash', [S .. 'triggers'] = 'zset'},
}
for _, status in ipairs(TRIGGER_STATUSES) do
  RARE.trigger[S .. 'triggers:status:' .. status] = 'zset'
end

local function is_of_type(key, wanted)
  local found = call('TYPE', key).ok
  return found == 'none' or found == wanted
end

local well = {} -- keys that were found to be of their type by this call

-- The name of a key that another program has put something into; false if all is well.
local function wrong(name, wanted)
  if well[name] then return false end
  if not is_of_type(name, wanted) then return name end
  well[name] = true
  return false
end

-- Where the ready tasks of a lane are that this owner may claim; those of one type under `<this>:<type>`. A lane is ''
-- or a JSON array, which ends where it ends, so that no two of these names are equal.
local function ready_of(owner, lane)
  return lane == '' and S .. 'ready:' .. owner or S .. 'lane:' .. owner .. ':' .. lane
end

local function lane_of(entry)
  return entry[LANE] or ''
end

local function wrong_of_ready(entry)
  local ready = ready_of(entry[ASSIGNED], lane_of(entry))
  return wrong(ready, 'zset') or wrong(ready .. ':' .. entry[TYPE], 'zset')
end

local function wrong_of_rare(kind)
  local rare = RARE[kind]
  if not rare then return end
  for key, wanted in pairs(rare) do
    if wrong(key, wanted) then return key end
  end
end

-- Nothing is written where another program has put something of its own: a script that fails is not rolled back.
local function check_types()
  for key, wanted in pairs(TYPES) do
    if not is_of_type(key, wanted) then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is not a ' .. wanted)
    end
  end
end

local function check_rare()
  local at = wrong_of_rare('keeper') or wrong_of_rare('trigger')
  if at then return redis.error_reply('WRONGTYPE ' .. at .. ' is of another type') end
end

local function check_schema(wanted)
  local found = call('HGET', META, 'schema')
  if found ~= wanted then
    return redis.error_reply('SCHEMA ' .. (found or 'none'))
  end
end

local function number(value)
  return string.format('%.0f', value)
end

-- What of the indexes was read or written by this call.
local known = {task = {}, agent = {}, workflow = {}, trigger = {}, keeper = {}}

local function index_of(kind, key)
  local entry = known[kind][key]
  if entry == nil then
    local packed = call('HGET', S .. kind .. ':index', key)
    entry = packed and cmsgpack.unpack(packed)
    known[kind][key] = entry
  end
  return entry
end

local function write_index(kind, key, entry)
  known[kind][key] = entry
  call('HSET', S .. kind .. ':index', key, cmsgpack.pack(entry))
end

local function remove_index(kind, key)
  known[kind][key] = false
  call('HDEL', S .. kind .. ':index', key)
end

local function queue_of(entry)
  return P .. 'tasks:queue:' .. PRIORITIES[entry[RANK]]
end

local function place_in_order(entry)
  return number((3 - entry[RANK]) * AHEAD + entry[NUMBER])
end

-- Which lanes of an owner have ready tasks, as `<owner>:<lane>`: a claim has to look at no more than these.
local function open_lane(owner, lane)
  if lane ~= '' then call('ZADD', S .. 'lanes', 0, owner .. ':' .. lane) end
end

local function close_lane(owner, lane)
  if lane ~= '' and call('EXISTS', ready_of(owner, lane)) == 0 then call('ZREM', S .. 'lanes', owner .. ':' .. lane) end
end

-- Lists cannot be searched, so claims follow sorted sets; the queues that people read hold the same tasks.
local function make_ready(id, entry, new)
  local at = place_in_order(entry)
  local ready = ready_of(entry[ASSIGNED], lane_of(entry))
  call('ZADD', ready, at, id)
  call('ZADD', ready .. ':' .. entry[TYPE], at, id)
  open_lane(entry[ASSIGNED], lane_of(entry))
  call('ZADD', S .. 'ready', number(entry[NUMBER]), id)
  local queue = queue_of(entry)
  local oldest = not new and call('LINDEX', queue, -1)
  local other = oldest and index_of('task', oldest)
  if other and other[NUMBER] > entry[NUMBER] then
    call('RPUSH', queue, id)
  else
    call('LPUSH', queue, id)
  end
end

local function leave_ready(id, entry)
  local ready = ready_of(entry[ASSIGNED], lane_of(entry))
  call('ZREM', ready, id)
  call('ZREM', ready .. ':' .. entry[TYPE], id)
  close_lane(entry[ASSIGNED], lane_of(entry))
  call('ZREM', S .. 'ready', id)
  call('LREM', queue_of(entry), -1, id)
end

local function enter(id, entry, new)
  if entry[CLAIMABLE] == READY then
    make_ready(id, entry, new)
  elseif entry[CLAIMABLE] == LATER then
    call('ZADD', S .. 'later', entry[DUE], id)
  end
end

local function leave(id, entry)
  if entry[CLAIMABLE] == READY then
    leave_ready(id, entry)
  elseif entry[CLAIMABLE] == LATER then
    call('ZREM', S .. 'later', id)
  elseif entry[CLAIMABLE] == RESERVED then
    call('ZREM', S .. 'reserved', id)
  end
end

local function move(id, entry, claimable)
  local at = wrong_of_ready(entry)
  if at then error({err = 'WRONGTYPE ' .. at .. ' is not a zset'}) end
  leave(id, entry)
  entry[CLAIMABLE] = claimable
  enter(id, entry, false)
  write_index('task', id, entry)
end

-- Tasks whose time has come, and those that somebody reserved and never claimed, are ready.
local function wake(now)
  for _, key in ipairs({'later', 'reserved'}) do
    for _, id in ipairs(call('ZRANGEBYSCORE', S .. key, '-inf', now, 'LIMIT', 0, 1000)) do
      move(id, index_of('task', id), READY)
    end
  end
end

-- More arguments than these would overflow Lua's stack.
local CHUNK = 1000

local function read_all(kind, keys)
  local found = {}
  for first = 1, #keys, CHUNK do
    local part = call('HMGET', S .. kind, unpack(keys, first, math.min(first + CHUNK - 1, #keys)))
    for _, body in ipairs(part) do
      found[#found + 1] = body
    end
  end
  return found
end
