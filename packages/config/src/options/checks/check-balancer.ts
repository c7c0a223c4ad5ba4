import { usesTls } from "../../tls/certificate.ts";
import { readRemoteTls } from "../../tls/nodes-tls.ts";
import { parseRemoteShard } from "../../units/edge-node.ts";
import type { Rule } from "./check.ts";
import { fileProblem } from "./file-problem.ts";

/** More places than anybody looks in; each costs a search through the request. */
const sourcesMax = 8;

/** Each is asked for /health on its own. */
const remotesMax = 64;

/** What must hold between the options by which the balancer chooses shards. */
export const balancerRules: readonly Rule[] = [
	function weightsHaveShards({ lbWeights, shards }, name) {
		if (shards <= 0 || lbWeights.length <= shards) return null;
		return `${name("lbWeights")}: there are ${lbWeights.length} weights for ${shards} shards (${name("shards")}); give at most ${shards}`;
	},
	function weightsCount({ lbWeights, lbStrategy, remoteShards }, name) {
		if (lbStrategy === "round_robin" && lbWeights.length > 0)
			return `${name("lbWeights")}: round_robin gives every shard the same; use weighted in ${name("lbStrategy")}`;
		if (lbStrategy === "round_robin" && remoteShards.some((item) => parseRemoteShard(item).weight > 1))
			return `${name("remoteShards")}: round_robin gives every shard the same; leave the weights out, or use weighted in ${name("lbStrategy")}`;
		if (lbStrategy === "weighted" && lbWeights.length === 0 && remoteShards.length === 0)
			return `${name("lbStrategy")}: without weights, weighted is round_robin; give them in ${name("lbWeights")}`;
		return null;
	},
	function idIsReadable(config, name) {
		if (config.lbAffinity !== "user" && config.lbAffinity !== "connection") return null;
		if (!usesTls(config)) return null;
		return `${name("lbAffinity")}: the balancer does not decrypt, so it sees no ${config.lbAffinity} in requests with TLS; use hash, which then goes by the address, or end TLS in front of it`;
	},
	function idIsLookedFor({ lbAffinity, lbAffinityFrom }, name) {
		if (lbAffinityFrom.length === 0) return null;
		if (lbAffinity === "none")
			return `${name("lbAffinityFrom")}: nothing is looked for there; set ${name("lbAffinity")} to user, connection or hash`;
		if (lbAffinityFrom.length > sourcesMax)
			return `${name("lbAffinityFrom")}: there are ${lbAffinityFrom.length} places; the most is ${sourcesMax}`;
		return null;
	},
	function remoteShardsAreNamedOnce({ remoteShards }, name) {
		if (remoteShards.length > remotesMax)
			return `${name("remoteShards")}: there are ${remoteShards.length} remote shards; the most is ${remotesMax}`;
		const texts = remoteShards.map((item) => parseRemoteShard(item).text);
		const twice = texts.find((text, index) => texts.indexOf(text) < index);
		return twice === undefined ? null : `${name("remoteShards")}: ${twice} is listed twice`;
	},
	function remoteShardsNeedProxy(config, name) {
		if (config.remoteShards.length === 0) return null;
		if (config.lbMode === "handoff")
			return `${name("remoteShards")}: a connection can be handed over only on this machine; set ${name("lbMode")} to proxy or auto`;
		if (usesTls(config))
			return `${name("remoteShards")}: the balancer does not decrypt, so it cannot pass on connections with TLS; run \`shardcast edge\` with the certificate before the machines, or end TLS in front of this one`;
		return null;
	},
	function remoteTlsIsOn(config, name) {
		if (config.remoteTls) return null;
		const given = (["remoteTlsCa", "remoteTlsName"] as const).find((key) => config[key] !== "");
		return given === undefined ? null : `${name(given)}: remote shards are not reached with TLS; set ${name("remoteTls")}`;
	},
	function noProxyHeaderBeforeRemoteTls({ remoteTls, remoteSendProxy }, name) {
		if (!remoteTls || !remoteSendProxy) return null;
		return `${name("remoteSendProxy")}: shards with TLS take no PROXY header; leave it out: X-Forwarded-For names the clients' addresses`;
	},
	function caOfRemotesCanBeUsed(config, name) {
		const { remoteTls, remoteTlsCa: path } = config;
		if (!remoteTls || path === "") return null;
		const problem = fileProblem(path);
		if (problem !== null) return `${name("remoteTlsCa")}: ${path} ${problem}`;
		const tls = readRemoteTls(config);
		return tls !== null && "problem" in tls ? `${name("remoteTlsCa")}: ${path} ${tls.problem.text}` : null;
	},
];
