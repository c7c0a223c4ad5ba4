import { type Redis, RedisError, Script } from "@shardcast/redis";
import type { NodeKeys } from "./node-keys.ts";

/**
 * ARGV: commands, each as its number of words, then the words. Returns those that the user may not use. It carries out none of them,
 * so any server of a Redis Cluster may answer, and KEYS is empty: the user may have no permission for any.
 */
const checkScript = new Script(`
local refused = {}
local at = 1
while at <= #ARGV do
	local count = tonumber(ARGV[at])
	local words = { unpack(ARGV, at + 1, at + count) }
	if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = table.concat(words, ' ') end
	at = at + count + 1
end
return refused
`);

/** Commands on a channel of pub/sub, on a key, and without either. */
const onSharded = ["SSUBSCRIBE", "SUNSUBSCRIBE", "SPUBLISH"];
const onPlain = ["SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH"];
const onNodes = ["ZADD", "ZREM", "ZRANGE", "ZRANGEBYSCORE", "ZSCORE", "PEXPIRE", "MGET", "PTTL", "INCR"];
const onRevocations = ["HGET", "HSET", "HSETNX", "HDEL", "HLEN", "HSCAN", "HINCRBY", "HMGET"];
const onStream = ["XADD", "XRANGE", "XREVRANGE", "DEL", "GET", "SET"];
const alone = [["TIME"], ["INFO", "server"]];
/** Arguments behind the key, for commands that Redis finds their keys only with. They are not carried out. */
const rest: Readonly<Record<string, readonly string[]>> = { XADD: ["*", "f", "v"], SET: ["v"] };

/** What a node does in Redis, with an example of each kind of key and channel. */
function commandsOf(keys: NodeKeys, prefix: string): readonly (readonly string[])[] {
	const on = (commands: readonly string[], ...names: readonly string[]) =>
		names.flatMap((name) => commands.map((command) => [command, name, ...(rest[command] ?? [])]));
	const { state, entries, until, changes } = keys.revocations;
	return [
		...alone,
		...on(onSharded, keys.control, keys.answers("id"), `${prefix}:messages:0`, `${prefix}:publications:{a}`, `${prefix}:kafka:a:0`),
		...on(onPlain, keys.events, `${prefix}:publish`),
		["PUBSUB", "SHARDNUMSUB", keys.answers("id")],
		...on(onNodes, keys.nodes, keys.node("id"), keys.term, until),
		...on(onRevocations, state, entries, keys.metrics, keys.scale, `${prefix}:meta:{a}`),
		...on(onStream, changes, `${prefix}:stream:{a}`, `${prefix}:once:{a}:k`, keys.session("user", "a"), keys.session("connection", "a")),
	];
}

/**
 * What the user may not do in Redis, in words; null = a node may do all it does there. Without this check, a node whose user may not subscribe would
 * count as healthy, and hear nothing of the others.
 * @throws RedisError when Redis does not answer.
 */
export async function missingPermissions(redis: Pick<Redis, "run">, keys: NodeKeys, prefix: string): Promise<string | null> {
	const args = commandsOf(keys, prefix).flatMap((words) => [String(words.length), ...words]);
	let refused: readonly string[];
	try {
		refused = ((await redis.run(checkScript, [], args)) as readonly unknown[]).map(String);
	} catch (error) {
		if (error instanceof RedisError && error.kind === "login") return error.message;
		// Before Redis 7, which is refused elsewhere, and in servers that only speak its protocol, nothing can be asked.
		if (error instanceof RedisError && error.kind === "refused") return null;
		throw error;
	}
	if (refused.length === 0) return null;
	const more = refused.length > shownMax ? `, and ${refused.length - shownMax} more` : "";
	return `its user may not do ${refused
		.slice(0, shownMax)
		.map((words) => `"${words}"`)
		.join(", ")}${more}`;
}

const shownMax = 3;
