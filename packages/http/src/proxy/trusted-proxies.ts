import { BlockList, isIP } from "node:net";
import { parseNetwork } from "@shardcast/config";

/**
 * The proxies of `--trusted-proxies`, whose reports of a client's address are accepted.
 *
 * Each proxy appends the address that it sees to X-Forwarded-For. So the list is read from its end, as long as the address found is that of a
 * trusted proxy. Entries before that can be forged.
 */
export class TrustedProxies {
	readonly isEmpty: boolean;
	readonly #networks = new BlockList();

	/** @param networks in the format of `--trusted-proxies`. */
	constructor(networks: readonly string[]) {
		this.isEmpty = networks.length === 0;
		for (const text of networks) {
			const { address, prefix, family } = parseNetwork(text);
			this.#networks.addSubnet(address, prefix, family);
		}
	}

	/** @param address as given by a socket or a header. */
	has(address: string): boolean {
		if (this.isEmpty) return false;
		const plain = plainAddress(address);
		const version = isIP(plain);
		return version !== 0 && this.#networks.check(plain, version === 4 ? "ipv4" : "ipv6");
	}

	/**
	 * The address of the client.
	 * @param peer the address that the connection comes from.
	 * @param forwardedFor returns all lines of X-Forwarded-For, joined by commas. Called only if the peer is trusted.
	 */
	client(peer: string, forwardedFor: () => string): string {
		if (!this.has(peer)) return peer;
		const hops = forwardedFor().split(",");
		let client = peer;
		for (let at = hops.length - 1; at >= 0; at--) {
			const hop = hopAddress(hops[at]!);
			// Without a usable entry, the proxy itself is the last known address.
			if (hop === null) return client;
			client = hop;
			if (!this.has(client)) return client;
		}
		return client;
	}
}

const mapped = /^(?:::ffff:|(?:0{1,4}:){5}ffff:)(?:(\d+\.\d+\.\d+\.\d+)|([\da-f]{1,4}):([\da-f]{1,4}))$/i;

/** Converts an IPv4 address mapped into IPv6 to IPv4: sockets and proxies use both forms. */
export function plainAddress(address: string): string {
	if (!address.includes(":")) return address;
	const match = mapped.exec(address);
	if (match === null) return address;
	const [, dotted, high = "", low = ""] = match;
	if (dotted !== undefined) return dotted;
	const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
	return [24, 16, 8, 0].map((from) => (bits >>> from) & 255).join(".");
}

/** The address in an entry of X-Forwarded-For, which may have a port or brackets; null for anything else, such as "unknown". */
function hopAddress(entry: string): string | null {
	const text = entry.trim();
	if (text.length > 64) return null;
	const [, bracketed, withPort] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
	const address = plainAddress(bracketed ?? withPort ?? text);
	return isIP(address) === 0 || address.includes("%") ? null : address;
}
