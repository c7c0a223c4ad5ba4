import { Script } from "@shardcast/redis";

/** More nodes than any cluster has. Further entries of the index are not looked at. */
export const nodesMax = 1024;
/** An entry that expires later than after so many node timeouts is wrong. Other nodes may have longer timeouts than this one. */
const aheadTimeouts = 10;

/**
 * A heartbeat. The first one joins. All times are those of Redis, so the nodes' clocks do not matter.
 *
 * KEYS: the node's key, the index, the counter of terms. ARGV: 1 id, 2 instance, 3 its JSON, 4 node timeout in ms, 5 channel of events, 6 an instance
 * that may be replaced, or "", 7 "updated" if something has changed, or "".
 *
 * Returns {"taken", JSON of the node that has the id, ms until it expires}, or
 * {"ok", now, term, 1 if it joined with this, or 2 if the index still had the id, {ids that it has removed}, id, expiry, id, expiry …}.
 *
 * It also removes those that have expired, and announces that, once for all nodes. A node does so only if its own heartbeats have come in time for a
 * whole node timeout: when Redis hangs, all nodes expire, and Redis then executes several heartbeats of one before the first of another.
 */
export const heartbeatScript = new Script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.pcall('GET', KEYS[1])
local term = nil
local joined = 1
local steady = now
-- What is no entry of a node, as another program may have written it, holds no id.
local readable, holder = pcall(cjson.decode, type(held) == 'string' and held or '')
if readable and type(holder) == 'table' and type(holder.instance) == 'string' then
	if holder.instance == ARGV[2] and type(holder.term) == 'number' and type(holder.heartbeatAt) == 'number' then
		term = holder.term
		joined = 0
		local passed = now - holder.heartbeatAt
		-- Redis may run on another machine now, whose clock is behind.
		if passed >= 0 and passed < ARGV[4] * 0.75 then steady = tonumber(holder.steadyAt) or now end
	elseif holder.instance ~= ARGV[2] and holder.instance ~= ARGV[6] then
		return { 'taken', held, redis.call('PTTL', KEYS[1]) }
	end
end
if not term then term = redis.call('INCR', KEYS[3]) end
if joined == 1 and redis.call('ZSCORE', KEYS[2], ARGV[1]) then joined = 2 end
local removed = {}
local json = string.sub(ARGV[3], 1, -2) .. ',"term":' .. string.format('%d', term) .. ',"heartbeatAt":' .. string.format('%d', now)
	.. ',"steadyAt":' .. string.format('%d', steady) .. '}'
redis.call('SET', KEYS[1], json, 'PX', ARGV[4])
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
if now - steady >= tonumber(ARGV[4]) then
	for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ${nodesMax})) do
		redis.call('ZREM', KEYS[2], id)
		removed[#removed + 1] = id
		redis.call('PUBLISH', ARGV[5], cjson.encode({ type = 'left', node = id, reason = 'timeout', at = now }))
	end
end
-- The clock of Redis was ahead when these were written, or another program has written them. Nodes that are there write theirs again.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%d', now + ARGV[4] * ${aheadTimeouts}), '+inf', 'LIMIT', 0, ${nodesMax})) do
	redis.call('ZADD', KEYS[2], now + ARGV[4], id)
end
redis.call('PEXPIRE', KEYS[2], ARGV[4] * 10)
local event = joined > 0 and 'joined' or ARGV[7]
if event ~= '' then
	redis.call('PUBLISH', ARGV[5], cjson.encode({ type = event, node = ARGV[1], at = now }))
end
local answer = { 'ok', now, term, joined, removed }
for _, each in ipairs(redis.call('ZRANGE', KEYS[2], 0, ${nodesMax - 1}, 'WITHSCORES')) do answer[#answer + 1] = each end
return answer
`);

/** The node leaves. KEYS: its key, the index. ARGV: 1 id, 2 instance, 3 channel of events. Does nothing when another node has the id. */
export const leaveScript = new Script(`
local held = redis.pcall('GET', KEYS[1])
local readable, holder = pcall(cjson.decode, type(held) == 'string' and held or '')
if held and not (readable and type(holder) == 'table' and holder.instance == ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('PUBLISH', ARGV[3], cjson.encode({ type = 'left', node = ARGV[1], reason = 'stopped', at = now }))
return 1
`);
