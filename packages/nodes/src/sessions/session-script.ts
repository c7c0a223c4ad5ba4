import { Script } from "@shardcast/redis";

/**
 * Follows a session if its node is one of the usable ones; otherwise the session gets the chosen node. One script, so nodes that ask at the same time get
 * the same answer. All times are those of Redis.
 *
 * KEYS: the session. ARGV: 1 the session for the chosen node as JSON, without metadata and time, 2 its metadata; "" = as before, 3 time to live in ms,
 * 4 "" = a new session is not made, 5 … ids of the nodes with which it is followed.
 *
 * Returns {"kept" | "moved" | "new" | "full", id of the node}.
 */
export const sessionScript = new Script(`
local held = redis.call('GET', KEYS[1])
local session = {}
if held then
	local ok, decoded = pcall(cjson.decode, held)
	if ok and type(decoded) == 'table' then session = decoded end
end
local wanted = cjson.decode(ARGV[1])
local outcome = held and 'moved' or 'new'
for at = 5, #ARGV do
	if ARGV[at] == session.node then outcome = 'kept' end
end
if session.node == wanted.node then outcome = 'kept' end
if outcome == 'kept' then
	wanted.node = session.node
	if ARGV[2] == '' then
		redis.call('PEXPIRE', KEYS[1], ARGV[3])
		return { outcome, wanted.node }
	end
end
if outcome == 'new' and ARGV[4] == '' then return { 'full', wanted.node } end
if ARGV[2] ~= '' then
	wanted.metadata = ARGV[2]
elseif type(session.metadata) == 'string' then
	wanted.metadata = session.metadata
end
local time = redis.call('TIME')
wanted.at = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], cjson.encode(wanted), 'PX', ARGV[3])
return { outcome, wanted.node }
`);
