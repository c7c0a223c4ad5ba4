import { isIP } from "node:net";

/** A network of addresses. */
export interface Network {
	readonly family: "ipv4" | "ipv6";
	readonly address: string;
	/** Leading bits that all its addresses share. */
	readonly prefix: number;
}

/**
 * "10.0.0.0/8", "2001:db8::/32", or one address. An IPv4 network that is written as mapped into IPv6 becomes an IPv4 network.
 * @throws RangeError whose message completes the sentence `"<list>" …` and says what to write.
 */
export function parseNetwork(text: string): Network {
	const [, host = "", bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
	const version = isIP(host);
	if (version === 0 || host.includes("%"))
		throw new RangeError(`has "${text}", which is not a network or an address; write it like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32`);
	const most = version === 4 ? 32 : 128;
	const prefix = bits === undefined ? most : Number(bits);
	if (prefix > most) throw new RangeError(`has the prefix length ${prefix} in ${text}; IPv${version} has at most ${most}`);
	const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
	if (mapped !== undefined && prefix >= 96) return { family: "ipv4", address: mapped, prefix: prefix - 96 };
	return { family: version === 4 ? "ipv4" : "ipv6", address: host.toLowerCase(), prefix };
}

/** As `parseNetwork`, for an option: the network is kept as text. */
export function networkText(text: string): string {
	const { address, prefix, family } = parseNetwork(text);
	return prefix === (family === "ipv4" ? 32 : 128) ? address : `${address}/${prefix}`;
}
