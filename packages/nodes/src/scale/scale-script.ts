import { Script } from "@shardcast/redis";

/**
 * Announces that the cluster should grow or shrink, once for all nodes, by the clock of Redis.
 *
 * KEYS: the last announcement. ARGV: 1 "scaleUp", "scaleDown" or "calm", 2 number of nodes, 3 hold time in ms, 4 channel of events, 5 JSON of the event,
 * 6 after how many ms the same is announced again.
 *
 * Returns the time of the event, or 0 when another node has announced the same, or anything within the hold time. "calm" ends an announcement: the same
 * may be announced again.
 */
export const scaleScript = new Script(`
local last = redis.call('HMGET', KEYS[1], 'type', 'nodes', 'at')
if ARGV[1] == 'calm' then
	if last[1] then redis.call('HSET', KEYS[1], 'type', '') end
	return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local age = now - tonumber(last[3] or 0)
if age < tonumber(ARGV[3]) then return 0 end
if last[1] == ARGV[1] and last[2] == ARGV[2] and age < tonumber(ARGV[6]) then return 0 end
redis.call('HSET', KEYS[1], 'type', ARGV[1], 'nodes', ARGV[2], 'at', string.format('%d', now))
redis.call('PEXPIRE', KEYS[1], ARGV[6] * 2)
redis.call('PUBLISH', ARGV[4], string.sub(ARGV[5], 1, -2) .. ',"at":' .. string.format('%d', now) .. '}')
return now
`);
