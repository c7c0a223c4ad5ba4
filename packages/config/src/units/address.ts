import { isIPv4, isIPv6 } from "node:net";
import { hostPortText } from "../url-parts.ts";

/** Where to listen; no host means every interface, IPv4 and IPv6. Can be spread into the options of `net.Server.listen`. */
export interface Address {
	readonly host?: string;
	readonly port: number;
}

/**
 * ":3005", "0.0.0.0:80", "localhost:80" or "[::1]:80". Port 0 lets the kernel choose.
 * @param examplePort for the message.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseAddress(text: string, examplePort = 3005): Address {
	const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text.trim());
	if (match === null) {
		const examples = [":", "127.0.0.1:", "[::1]:"].map((host) => `${host}${examplePort}`);
		throw new RangeError(`is not an address; write ${examples[0]}, ${examples[1]} or ${examples[2]}`);
	}
	const [, bracketed, plain, digits] = match;
	const port = Number(digits);
	if (port > 65_535) throw new RangeError(`has the port ${port}; ports end at 65535`);
	if (bracketed !== undefined && !isIPv6(bracketed)) throw new RangeError(`has no IPv6 address between its brackets`);
	const host = bracketed ?? plain;
	if (/^[\d.]+$/.test(host) && !isIPv4(host)) throw new RangeError(`has the host "${host}", which is no IPv4 address`);
	return host === "" ? { port } : { host, port };
}

/** The address as a client on this machine would write it in a URL: every interface becomes 127.0.0.1. */
export function urlHost(address: Address): string {
	const { host = "127.0.0.1", port } = address;
	return hostPortText({ host: listensEverywhere(address) ? "127.0.0.1" : host, port });
}

/** Whether it is every interface. */
export function listensEverywhere({ host }: Address): boolean {
	return host === undefined || host === "0.0.0.0" || host === "::";
}
