import { parseRedisAddress } from "../../redis/redis-address.ts";
import { formatDuration } from "../../units/duration.ts";
import type { Rule } from "./check.ts";
import { fileProblem } from "./file-problem.ts";

/** What must hold between the options of Redis and of the machine. */
export const nodeRules: readonly Rule[] = [
	function tlsForCertificates(config, name) {
		const given = (["redisTlsCa", "redisTlsCert"] as const).find((key) => config[key] !== "");
		if (given === undefined || (config.redisAddress !== undefined && parseRedisAddress(config.redisAddress).tls)) return null;
		return `${name(given)}: Redis is not reached with TLS; write rediss:// in ${name("redisAddress")}`;
	},
	function certificateAndKey(config, name) {
		if ((config.redisTlsCert === "") === (config.redisTlsKey === "")) return null;
		return `${name("redisTlsCert")} and ${name("redisTlsKey")}: one without the other; give both`;
	},
	function timeoutHoldsTwoHeartbeats({ nodeHeartbeatMs, nodeTimeoutMs }, name) {
		if (nodeTimeoutMs >= 2 * nodeHeartbeatMs) return null;
		return `${name("nodeTimeoutMs")}: ${formatDuration(nodeTimeoutMs)} is less than two heartbeats of ${formatDuration(nodeHeartbeatMs)} (${name("nodeHeartbeatMs")}); give at least ${formatDuration(2 * nodeHeartbeatMs)}`;
	},
	function scaleLimitsAreApart({ scaleDownAt, scaleUpAt }, name) {
		if (scaleDownAt < scaleUpAt) return null;
		return `${name("scaleDownAt")}: ${scaleDownAt} is not below ${scaleUpAt} (${name("scaleUpAt")})`;
	},
	function scaleNodesAreInOrder({ scaleMinNodes, scaleMaxNodes }, name) {
		if (scaleMinNodes <= scaleMaxNodes) return null;
		return `${name("scaleMinNodes")}: ${scaleMinNodes} is more than ${scaleMaxNodes} (${name("scaleMaxNodes")})`;
	},
	...(["redisTlsCa", "redisTlsCert", "redisTlsKey"] as const).map(
		(key): Rule =>
			function fileCanBeRead(config, name) {
				const problem = config[key] === "" ? null : fileProblem(config[key]);
				return problem === null ? null : `${name(key)}: ${config[key]} ${problem}`;
			},
	),
];
