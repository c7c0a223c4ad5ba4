import { choice, duration, size, toggle } from "../../kinds.ts";
import { option } from "../../option.ts";

/** The rest of the section `redis`: channels shared by several nodes. */
export const redisBrokerOptions = {
	redisPublishWaitMs: option({
		flag: "redis-publish-wait",
		key: "publish_wait",
		kind: duration({ minMs: 0, maxMs: 60_000 }),
		default: 0,
		help: "How long a publication to a channel with history waits while Redis cannot be reached; 0 = it is refused at once, with error 100 or HTTP status 503.",
	}),
	redisTrustReplicas: option({
		flag: "redis-trust-replicas",
		key: "trust_replicas",
		kind: toggle(),
		default: false,
		help: "Channels keep their epoch after a restart or failover of Redis, although the last publications may be missing there; without this, subscribers start over in a new epoch.",
	}),
	redisCompression: option({
		flag: "redis-compression",
		key: "compression",
		kind: choice(["none", "deflate"]),
		default: "none",
		help: "Compression of what this node sends to other nodes through Redis, and of publications that Redis keeps. It saves network traffic and memory of Redis, and costs the shards CPU time. Nodes read both, whatever their own setting.",
	}),
	redisCompressionBytesMin: option({
		flag: "redis-compression-min-size",
		key: "compression_min_size",
		kind: size({ minBytes: 0, maxBytes: 16 * 1024 * 1024 }),
		default: 1024,
		help: "Shorter publications and batches are not compressed, since that saves little or nothing.",
	}),
} as const;
