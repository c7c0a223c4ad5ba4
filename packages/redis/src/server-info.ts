import { RedisError } from "./redis-error.ts";

/** The server's description of itself. For a Redis Cluster, that of one of its servers. */
export interface ServerInfo {
	/** "redis" or "valkey". */
	readonly name: string;
	/** Redis version; Valkey reports 7.2.4. */
	readonly version: string;
	/** Changes when the server process restarts or is replaced by another one. */
	readonly runId: string;
	/** How it removes keys when its memory is full, such as "allkeys-lru"; null = it removes none, or has no limit. */
	readonly eviction: string | null;
}

const versionMin = 7;

/**
 * Reads the answer to `INFO`.
 * @throws RedisError of the kind "unsuitable"; "unavailable" = a replica, which may become the master.
 */
export function readServerInfo(text: string, isCluster: boolean): ServerInfo {
	const fields = new Map(
		text.split(/\r?\n/).map((line): [string, string] => {
			const colon = line.indexOf(":");
			return [line.slice(0, colon), line.slice(colon + 1)];
		}),
	);
	const version = fields.get("redis_version") ?? "unknown";
	const name = fields.get("server_name") ?? "redis";
	if (!(Number.parseInt(version, 10) >= versionMin))
		throw new RedisError("unsuitable", `the server has version ${version} of Redis; use Redis ${versionMin} or later, or Valkey`);
	const mode = fields.get("redis_mode");
	if (!isCluster && mode === "cluster")
		throw new RedisError("unsuitable", "the server belongs to a Redis Cluster; write redis+cluster:// in its address");
	if (!isCluster && fields.get("role") === "slave")
		throw new RedisError("unavailable", "the server is a replica; the address must lead to the master");
	const policy = fields.get("maxmemory_policy") ?? "noeviction";
	const isLimited = Number(fields.get("maxmemory") ?? 0) > 0;
	return { name, version, runId: fields.get("run_id") ?? "", eviction: isLimited && policy !== "noeviction" ? policy : null };
}
