import { usesTls } from "../../tls/certificate.ts";
import type { Rule } from "./check.ts";

/** More places than anybody looks in; each costs a search through the request. */
const sourcesMax = 8;

/** What must hold between the options by which the balancer chooses shards. */
export const balancerRules: readonly Rule[] = [
	function weightsHaveShards({ lbWeights, shards }, name) {
		if (shards === 0 || lbWeights.length <= shards) return null;
		return `${name("lbWeights")}: there are ${lbWeights.length} weights for ${shards} shards (${name("shards")}); give at most ${shards}`;
	},
	function weightsCount({ lbWeights, lbStrategy }, name) {
		if (lbStrategy === "round_robin" && lbWeights.length > 0)
			return `${name("lbWeights")}: round_robin gives every shard the same; use weighted in ${name("lbStrategy")}`;
		if (lbStrategy === "weighted" && lbWeights.length === 0)
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
];
