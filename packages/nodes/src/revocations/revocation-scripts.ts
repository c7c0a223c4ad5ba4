import { Script } from "@shardcast/redis";

/**
 * KEYS: 1 epoch and version (hash), 2 entries (hash), 3 when they expire (sorted set).
 *
 * A promoted replica, or a server restarted from older data, may lack the last changes, and then gives their versions to other changes. So the hash
 * has the id of the server that made the last change (`run`), and the former servers, each with the version from which its successor went on (`before`: "run
 * version " for each, the latest first, 32 at most). Removes expired entries, too, at most 100.
 */
const open = `
local run = redis.call('INFO', 'server'):match('run_id:(%x+)')
local former, before, at = unpack(redis.call('HMGET', KEYS[1], 'run', 'before', 'version'))
if former and former ~= run then
	local kept, count = former .. ' ' .. (at or '0') .. ' ', 1
	for each in (before or ''):gmatch('%x+ %d+ ') do
		if count >= 32 then break end
		kept, count = kept .. each, count + 1
	end
	redis.call('HSET', KEYS[1], 'before', kept)
end
if former ~= run then redis.call('HSET', KEYS[1], 'run', run) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)) do
	redis.call('HDEL', KEYS[2], field)
	redis.call('ZREM', KEYS[3], field)
end
`;

/**
 * KEYS: as above. ARGV: 1 a new epoch, used if there is none because Redis is empty or has lost its data. Returns {epoch, version, run, before}.
 */
export const stateScript = new Script(`
${open}
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
local epoch, version, there, former = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'version', 'run', 'before'))
return { epoch, tonumber(version or 0), there, former or '' }
`);

/**
 * Adds, replaces or removes an entry. KEYS: as above, 4 the last changes (stream). ARGV: 1 kind and id, 2 the change as JSON, 3 the entry as JSON; "" =
 * remove it, 4 when it expires, in milliseconds since 1970; "" = never, 5 most entries, 6 changes that are kept. Returns {"ok" or "full", version}.
 */
export const changeScript = new Script(`
${open}
local before = redis.call('HGET', KEYS[2], ARGV[1])
local current = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if ARGV[3] == '' then
	if not before then return { 'ok', current } end
	redis.call('HDEL', KEYS[2], ARGV[1])
	redis.call('ZREM', KEYS[3], ARGV[1])
else
	if before == ARGV[3] then return { 'ok', current } end
	if not before and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return { 'full', current } end
	redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
	if ARGV[4] == '' then redis.call('ZREM', KEYS[3], ARGV[1]) else redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1]) end
end
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
local id = string.format('%d-0', version)
local added = redis.pcall('XADD', KEYS[4], 'MAXLEN', ARGV[6], id, 'change', ARGV[2])
if type(added) == 'table' and added.err then
	-- Only the version was lost. Without the older changes, nodes read the whole list.
	redis.call('DEL', KEYS[4])
	redis.call('XADD', KEYS[4], 'MAXLEN', ARGV[6], id, 'change', ARGV[2])
end
return { 'ok', version }
`);
