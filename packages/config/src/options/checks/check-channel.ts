import type { ValuePath } from "../../load/layer.ts";
import { formatBytes } from "../../units/bytes.ts";
import { formatDuration } from "../../units/duration.ts";
import { historyPayloadBytesMax } from "../derive.ts";
import type { Config, ConfigKey } from "../options.ts";
import { type ChannelOptions, channelFields } from "../sections/clients/channel.ts";
import type { NameOf, Rule } from "./check.ts";

interface Place {
	readonly options: ChannelOptions;
	/** Names one of its fields, by where it stands. */
	readonly name: (property: keyof ChannelOptions) => string;
}

type ChannelRule = (place: Place, config: Config, nameOf: NameOf) => string | null;

const channelRuleList: readonly ChannelRule[] = [
	function sizeAndTime({ options: { historySize, historyTtlMs }, name }) {
		if (historySize > 0 === historyTtlMs > 0) return null;
		const [given, missing] = historySize > 0 ? (["historySize", "historyTtlMs"] as const) : (["historyTtlMs", "historySize"] as const);
		return `${name(given)}: there is no history without ${channelFields[missing].key}; give both or neither`;
	},
	function positionOutlivesHistory({ options: { historyTtlMs, historyMetaTtlMs }, name }, { channelHistoryMetaTtlMs }) {
		const metaTtlMs = historyMetaTtlMs || channelHistoryMetaTtlMs;
		if (historyTtlMs <= metaTtlMs) return null;
		const which = historyMetaTtlMs > 0 ? "history_meta_ttl" : "channel.history_meta_ttl";
		return `${name("historyTtlMs")}: ${formatDuration(historyTtlMs)} is longer than ${which}, ${formatDuration(metaTtlMs)}; give at most that`;
	},
	function recoveryNeedsHistory({ options, name }) {
		if (!options.forceRecovery || options.historySize > 0 || options.historyTtlMs > 0) return null;
		return `${name("forceRecovery")}: there is no history to recover from; give history_size and history_ttl as well`;
	},
	function durableNeedsHistory({ options, name }) {
		if (!options.durable || options.historySize > 0 || options.historyTtlMs > 0) return null;
		return `${name("durable")}: there is no history to keep; give history_size and history_ttl as well`;
	},
	function durableNeedsAStore({ options, name }, { durableStorePath, postgresAddress }) {
		if (!options.durable || durableStorePath !== "" || postgresAddress !== undefined) return null;
		return `${name("durable")}: history in memory does not outlive a restart; name a folder with channel.durable_store.path, or a PostgreSQL with postgres.url`;
	},
	function durableIsNotFromKafka({ options, name }, { kafkaBrokers }, nameOf) {
		if (!options.durable || kafkaBrokers.length === 0) return null;
		return `${name("durable")}: records from Kafka (${nameOf("kafkaBrokers")}) are not written to the durable store; switch one of the two off`;
	},
	function messagesFitIntoHistory({ options, name }, config, nameOf) {
		const { maxPayloadBytes, historyMemoryBytes } = config;
		const most = historyPayloadBytesMax(config);
		if (options.historySize === 0 || maxPayloadBytes <= most) return null;
		return `${name("historySize")}: a message of ${formatBytes(maxPayloadBytes)} (${nameOf("maxPayloadBytes")}) does not fit into a history in ${formatBytes(historyMemoryBytes)} (${nameOf("historyMemoryBytes")}); the most is ${most} bytes; give more memory, or less for a message`;
	},
	function publicationsFit({ options: { publicationBytesMax }, name }, { maxPayloadBytes }) {
		if (publicationBytesMax <= maxPayloadBytes) return null;
		return `${name("publicationBytesMax")}: ${formatBytes(publicationBytesMax)} is more than limits.max_payload, ${formatBytes(maxPayloadBytes)}; give at most that`;
	},
	function keysNeedKeepLatest({ options: { slowClient, slowClientKeyTag }, name }, { channelSlowClient }) {
		if (slowClientKeyTag === "" || (slowClient === "default" ? channelSlowClient : slowClient) === "keep-latest") return null;
		return `${name("slowClientKeyTag")}: only slow_client: keep-latest has keys; set that, or leave this out`;
	},
];

function keyTagNeedsKeepLatest(
	{ channelSlowClient, channelSlowClientKeyTag, channelWithoutNamespace, channelNamespaces }: Config,
	nameOf: NameOf,
) {
	const policies = [channelSlowClient, ...[channelWithoutNamespace, ...channelNamespaces].map(({ slowClient }) => slowClient)];
	if (channelSlowClientKeyTag === "" || policies.includes("keep-latest")) return null;
	return `${nameOf("channelSlowClientKeyTag")}: only keep-latest has keys, and no slow_client has this value; set that, or leave this out`;
}

/** What must hold within each namespace. */
const namespaceRules: readonly Rule[] = channelRuleList.map(
	(rule): Rule =>
		(config, name) => {
			const place = (key: ConfigKey, options: ChannelOptions, way: ValuePath): Place => ({
				options,
				name: (property) => name(key, [...way, channelFields[property].key]),
			});
			return [
				place("channelWithoutNamespace", config.channelWithoutNamespace, []),
				...config.channelNamespaces.map((namespace, index) => place("channelNamespaces", namespace, [index])),
			].flatMap((each) => rule(each, config, name) ?? []);
		},
);

export const channelRules: readonly Rule[] = [...namespaceRules, keyTagNeedsKeepLatest];
