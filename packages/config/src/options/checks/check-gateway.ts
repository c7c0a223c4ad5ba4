import { formatBytes } from "../../units/bytes.ts";
import { formatDuration } from "../../units/duration.ts";
import { gatewayBackendsMax } from "../sections/cluster/gateway.ts";
import type { Rule } from "./check.ts";

/** What must hold between the options of the gateway. */
export const gatewayRules: readonly Rule[] = [
	function backendsAreNamedOnce({ gatewayBackends: backends }, name) {
		if (backends.length > gatewayBackendsMax)
			return `${name("gatewayBackends")}: there are ${backends.length} backends; the most is ${gatewayBackendsMax}`;
		const twice = backends.find((text, index) => backends.indexOf(text) < index);
		return twice === undefined ? null : `${name("gatewayBackends")}: ${twice} is listed twice`;
	},
	function oneProofOfAnnouncements({ discoverySecret, discoveryNetworks }, name) {
		if (discoverySecret === undefined || discoveryNetworks.length === 0) return null;
		return `${name("discoveryNetworks")}: with ${name("discoverySecret")} only signed announcements count, from anywhere; leave one of the two out`;
	},
	function queuesHoldAFrame(config, name) {
		const queues = ["clientQueueBytes", "backendQueueBytes"] as const;
		return queues
			.filter((key) => config[key] < config.maxFrameBytes)
			.map(
				(key) =>
					`${name(key)}: a frame of ${formatBytes(config.maxFrameBytes)} (${name("maxFrameBytes")}) would not fit; give at least that, or a smaller ${name("maxFrameBytes")}`,
			);
	},
	function reconnectMaximumIsLonger({ backendReconnectMinMs: least, backendReconnectMaxMs: most }, name) {
		if (least <= most) return null;
		return `${name("backendReconnectMinMs")}: ${formatDuration(least)} is longer than the longest pause, ${formatDuration(most)} (${name("backendReconnectMaxMs")}); give at most that`;
	},
];
