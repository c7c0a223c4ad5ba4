import { type Address, parseAddress } from "./address.ts";
import { weightMax } from "./weight.ts";

/** A node of `--nodes`. */
interface EdgeNodeAddress extends Required<Address> {
	/** As written, without the weight: unique in the list. */
	readonly text: string;
	readonly weight: number;
}

/** "10.0.0.7:3005" or, with a weight, "10.0.0.7:3005=2". @throws RangeError whose message completes the sentence `"<text>" …`. */
export function parseEdgeNode(item: string): EdgeNodeAddress {
	const [, text = "", digits = "1"] = /^(.*?)(?:=(.*))?$/.exec(item.trim()) ?? [];
	const { host, port } = parseAddress(text);
	if (host === undefined || port === 0) throw new RangeError("has no host and port of a node; write 10.0.0.7:3005");
	const weight = /^\d{1,4}$/.test(digits) ? Number(digits) : 0;
	if (weight < 1 || weight > weightMax) throw new RangeError(`has no weight from 1 to ${weightMax} after "="`);
	return { text, host, port, weight };
}

/** The same, as text. */
export function edgeNodeText(item: string): string {
	parseEdgeNode(item);
	return item.trim();
}
