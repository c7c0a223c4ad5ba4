import { LogSize, leavesRoom, logSizes } from "@shardcast/wire";
import type { ValuePath } from "../../load/layer.ts";
import { usesTls } from "../../tls/certificate.ts";
import { formatBytes } from "../../units/bytes.ts";
import { formatDuration } from "../../units/duration.ts";
import { historyCapacity } from "../derive.ts";
import type { Config, ConfigKey } from "../options.ts";
import { jwksNames } from "../sections/clients/token.ts";
import { balancerRules } from "./check-balancer.ts";
import { channelRules } from "./check-channel.ts";
import { edgeRules } from "./check-edge.ts";
import { gatewayRules } from "./check-gateway.ts";
import { kafkaRules } from "./check-kafka.ts";
import { nodeRules } from "./check-nodes.ts";
import { postgresRules } from "./check-postgres.ts";
import { proxyRules } from "./check-proxies.ts";
import { webhookRules } from "./check-webhooks.ts";

/** Names an option by where its value came from, such as "--base-port"; with a path, a value within it. */
export type NameOf = (key: ConfigKey, within?: ValuePath) => string;

/** What must hold between options: each rule returns one line, several, or null. */
export type Rule = (config: Config, name: NameOf) => string | readonly string[] | null;

const apiKeysMax = 32;

const rules: readonly Rule[] = [
	function lastPortExists(config, name) {
		const last = config.basePort + Math.max(config.shards, 1) - 1;
		if (last <= 65_535) return null;
		return `${name("basePort")}: ${config.shards} shards from port ${config.basePort} would end at ${last}; choose at most ${65_536 - config.shards}`;
	},
	function boundsLeaveANumber({ shardsMin, shardsMax }, name) {
		if (shardsMin <= shardsMax) return null;
		return `${name("shardsMin")}: at least ${shardsMin} shards are more than the ${shardsMax} that ${name("shardsMax")} allows; give at most ${shardsMax}`;
	},
	function connectionsForEachShard(config, name) {
		if (config.maxConnections >= config.shards) return null;
		return `${name("maxConnections")}: ${config.maxConnections} connections leave none for some of ${config.shards} shards; give at least ${config.shards}`;
	},
	function bufferHoldsAMessage(config, name) {
		if (config.maxBufferedBytes >= config.maxPayloadBytes) return null;
		return `${name("maxBufferedBytes")}: a message of ${formatBytes(config.maxPayloadBytes)} (${name("maxPayloadBytes")}) would not fit; give at least that`;
	},
	function totalHoldsAClient(config, name) {
		if (config.maxBufferedTotalBytes >= config.maxBufferedBytes) return null;
		return `${name("maxBufferedTotalBytes")}: ${formatBytes(config.maxBufferedTotalBytes)} for all clients is less than ${name("maxBufferedBytes")}, ${formatBytes(config.maxBufferedBytes)} for one; give at least that`;
	},
	function tablesLeaveRoom(config, name) {
		if (leavesRoom(logSizes(historyCapacity(config)))) return null;
		const largest =
			config.historyChannels * LogSize.rowBytes >= config.idempotencyKeys * LogSize.entryBytes ? "historyChannels" : "idempotencyKeys";
		return `${name(largest)}: ${config[largest]} of them take more than two thirds of ${formatBytes(config.historyMemoryBytes)} (${name("historyMemoryBytes")}); give more memory, or a smaller number`;
	},
	function pongBeforeNextPing(config, name) {
		if (config.pongTimeoutMs < config.pingIntervalMs) return null;
		return `${name("pongTimeoutMs")}: ${formatDuration(config.pongTimeoutMs)} is not shorter than ${name("pingIntervalMs")}, ${formatDuration(config.pingIntervalMs)}; give less`;
	},
	function subscriptionTokensHaveAKey(config, name) {
		const { subscriptionTokenHmacSecret: hmac, subscriptionTokenRsaPublicKey: rsa, subscriptionTokenEcdsaPublicKey: ecdsa } = config;
		const isGiven = hmac !== undefined || rsa !== "" || ecdsa !== "" || config.subscriptionTokenJwksEndpoint !== "";
		if (!config.subscriptionTokenEnabled || isGiven) return null;
		return `${name("subscriptionTokenEnabled")}: without a key no subscription token is valid; give client.subscription_token.hmac_secret_key, .rsa_public_key, .ecdsa_public_key or .jwks_public_endpoint`;
	},
	function keySetsAreNamed(config, name) {
		const kinds = [
			["tokenJwksEndpoint", config.tokenJwksEndpoint, config.tokenIssuerRegex + config.tokenAudienceRegex],
			[
				"subscriptionTokenJwksEndpoint",
				config.subscriptionTokenJwksEndpoint,
				config.subscriptionTokenIssuerRegex + config.subscriptionTokenAudienceRegex,
			],
		] as const;
		return kinds.flatMap(([key, endpoint, regexes]) =>
			jwksNames(endpoint)
				.filter((group) => !new RegExp(`\\(\\?P?<${group}>`).test(regexes))
				.map((group) => `${name(key)}: {{${group}}} is not a group of the issuer or audience regex; write (?P<${group}>…) in one of them`),
		);
	},
	function authIsNotContradicted(config, name) {
		if (config.requireAuth !== true || !config.clientInsecure) return null;
		return `${name("requireAuth")}: with ${name("clientInsecure")} clients need no token; remove one of the two`;
	},
	function personalChannelExists(config, name) {
		const { personalChannelEnabled, personalChannelNamespace: wanted, singleConnection, channelNamespaces } = config;
		if (singleConnection && !personalChannelEnabled)
			return `${name("singleConnection")}: it needs the personal channel; set client.subscribe_to_user_personal_channel.enabled as well`;
		if (!personalChannelEnabled || wanted === "" || channelNamespaces.some((namespace) => namespace.name === wanted)) return null;
		return `${name("personalChannelNamespace")}: there is no namespace "${wanted}"; add it to channel.namespaces`;
	},
	function proxyHeadersComeFromSomebody(config, name) {
		if (!config.proxyProtocol || config.trustedProxies.length > 0) return null;
		return `${name("proxyProtocol")}: nobody may send a PROXY header; give the addresses of the load balancers in ${name("trustedProxies")}`;
	},
	function certificateForTls(config, name) {
		if (config.tlsEnabled === true && config.tlsCert === "")
			return `${name("tlsEnabled")}: there is no certificate; name its file in ${name("tlsCert")}`;
		if (config.tlsCert !== "") return null;
		const given = (["tlsKey", "tlsCertificates"] as const).find((key) => config[key].length > 0);
		return given === undefined ? null : `${name(given)}: there is no first certificate; name its file in ${name("tlsCert")}`;
	},
	function tlsNeedsHandoff(config, name) {
		if (config.lbMode !== "proxy" || !usesTls(config)) return null;
		return `${name("lbMode")}: TLS does not work in proxy mode; use handoff or auto`;
	},
	function proxyHeadersAreNotBeforeTls(config, name) {
		if (!config.proxyProtocol || !usesTls(config)) return null;
		return `${name("proxyProtocol")}: PROXY headers and TLS do not go together here; end TLS in the load balancer, or let it pass connections without a header`;
	},
	function apiKeysAreKeys({ apiKey, apiKeys }, name) {
		if (apiKeys.length > apiKeysMax) return `${name("apiKeys")}: there are ${apiKeys.length} keys; the most is ${apiKeysMax}`;
		const taken = new Set(apiKey === undefined ? [] : [apiKey]);
		for (const [index, { name: called, key, formerKey }] of apiKeys.entries()) {
			if (key === undefined) return `${name("apiKeys", [index])}: "${called}" has no key`;
			for (const each of formerKey === undefined ? [key] : [key, formerKey]) {
				if (taken.has(each)) return `${name("apiKeys", [index])}: "${called}" has the same key as another; give each a different one`;
				taken.add(each);
			}
		}
		return null;
	},
	function backoffGrows(config, name) {
		if (config.restartBackoffMinMs <= config.restartBackoffMaxMs) return null;
		const maximum = formatDuration(config.restartBackoffMaxMs);
		return `${name("restartBackoffMinMs")}: ${formatDuration(config.restartBackoffMinMs)} is longer than the longest pause, ${maximum} (${name("restartBackoffMaxMs")}); give at most that`;
	},
];

/**
 * One line for each rule that is broken.
 * @param open the options whose value is not known, since it is wrong itself: what depends on one of them is not judged.
 */
export function checkAcross(config: Config, name: NameOf, open: ReadonlySet<ConfigKey> = new Set()): string[] {
	const watched = { touched: false };
	const readable = new Proxy(config, {
		get(target, key) {
			if (open.has(key as ConfigKey)) watched.touched = true;
			return target[key as ConfigKey];
		},
	});
	const lines: string[] = [];
	for (const rule of [
		...rules,
		...kafkaRules,
		...nodeRules,
		...balancerRules,
		...edgeRules,
		...gatewayRules,
		...postgresRules,
		...channelRules,
		...proxyRules,
		...webhookRules,
	]) {
		watched.touched = false;
		const broken = rule(readable, name) ?? [];
		if (!watched.touched) lines.push(...(typeof broken === "string" ? [broken] : broken));
	}
	return lines;
}
