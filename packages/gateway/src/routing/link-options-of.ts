import type { Config } from "@shardcast/config";
import { type LinkOptions, linkDefaults } from "../backends/link-options.ts";

/** The options of links to backends. */
export function linkOptionsOf(config: Config): LinkOptions {
	return {
		...linkDefaults,
		dialMs: config.backendConnectTimeoutMs,
		idleMs: config.backendIdleTimeoutMs,
		frameBytesMax: config.maxFrameBytes,
		queueFrames: config.backendQueueFrames,
		priorityQueueFrames: config.backendPriorityFrames,
		queueBytes: config.backendQueueBytes,
		bandwidth: config.backendBandwidth,
		breaker: { ...linkDefaults.breaker, failuresMax: config.breakerFailures, openMs: config.breakerOpenMs },
		reconnect: { ...linkDefaults.reconnect, firstMs: config.backendReconnectMinMs, mostMs: config.backendReconnectMaxMs },
	};
}
