import { type Address, parseAddress } from "./address.ts";
import { weightMax } from "./weight.ts";

/** A node of `--nodes`, or a shard of `--remote-shards`. */
interface WeightedAddress extends Required<Address> {
	/** As written, without the weight: unique in the list. */
	readonly text: string;
	readonly weight: number;
}

/** "10.0.0.7:3005" or, with a weight, "10.0.0.7:3005=2". @throws RangeError whose message completes the sentence `"<text>" …`. */
export function parseEdgeNode(item: string): WeightedAddress {
	return parseWeighted(item, "a node", 1);
}

/** The same, as text. */
export function edgeNodeText(item: string): string {
	parseEdgeNode(item);
	return item.trim();
}

/** Like a node; with the weight 0 it gets no new clients. @throws RangeError whose message completes the sentence `"<text>" …`. */
export function parseRemoteShard(item: string): WeightedAddress {
	return parseWeighted(item, "a remote shard", 0);
}

/** The same, as text. */
export function remoteShardText(item: string): string {
	parseRemoteShard(item);
	return item.trim();
}

function parseWeighted(item: string, what: string, weightMin: number): WeightedAddress {
	const [, text = "", digits = "1"] = /^(.*?)(?:=(.*))?$/.exec(item.trim()) ?? [];
	const { host, port } = parseAddress(text);
	if (host === undefined || port === 0) throw new RangeError(`has no host and port of ${what}; write 10.0.0.7:3005`);
	const weight = /^\d{1,4}$/.test(digits) ? Number(digits) : -1;
	if (weight < weightMin || weight > weightMax) throw new RangeError(`has no weight from ${weightMin} to ${weightMax} after "="`);
	return { text, host, port, weight };
}
