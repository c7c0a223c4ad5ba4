import { duration, toggle } from "../../kinds.ts";
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
} as const;
