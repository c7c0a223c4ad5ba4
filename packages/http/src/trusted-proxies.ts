import { BlockList, isIP } from "node:net";
import { parseNetwork } from "@shardcast/config";

/**
 * The proxies in front of the server, by `--trusted-proxies`: whose word is taken for a client's address.
 *
 * Each proxy adds the address that it sees to the end of X-Forwarded-For, so the list is read from its end, for as long as the address
 * found so far is that of a trusted proxy. What stands before that, anybody can have written.
 */
export class TrustedProxies {
	readonly isEmpty: boolean;
	readonly #networks = new BlockList();

	/** @param networks as `--trusted-proxies` has them. */
	constructor(networks: readonly string[]) {
		this.isEmpty = networks.length === 0;
		for (const text of networks) {
			const { address, prefix, family } = parseNetwork(text);
			this.#networks.addSubnet(address, prefix, family);
		}
	}

	/** @param address as a socket or a header has it. */
	has(address: string): boolean {
		if (this.isEmpty) return false;
		const plain = plainAddress(address);
		const version = isIP(plain);
		return version !== 0 && this.#networks.check(plain, version === 4 ? "ipv4" : "ipv6");
	}

	/**
	 * The address of the client.
	 * @param peer the address that the connection comes from.
	 * @param forwardedFor of all lines of X-Forwarded-For, with commas between them; asked for only if the peer is trusted.
	 */
	client(peer: string, forwardedFor: () => string): string {
		if (!this.has(peer)) return peer;
		const hops = forwardedFor().split(",");
		let client = peer;
		for (let at = hops.length - 1; at >= 0; at--) {
			const hop = hopAddress(hops[at]!);
			// A proxy that says nothing usable is as far as the way back is known.
			if (hop === null) return client;
			client = hop;
			if (!this.has(client)) return client;
		}
		return client;
	}
}

const mapped = /^(?:::ffff:|(?:0{1,4}:){5}ffff:)(?:(\d+\.\d+\.\d+\.\d+)|([\da-f]{1,4}):([\da-f]{1,4}))$/i;

/** An IPv4 address that is mapped into IPv6 as IPv4: sockets and proxies write both. */
export function plainAddress(address: string): string {
	if (!address.includes(":")) return address;
	const match = mapped.exec(address);
	if (match === null) return address;
	const [, dotted, high = "", low = ""] = match;
	if (dotted !== undefined) return dotted;
	const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16);
	return [24, 16, 8, 0].map((from) => (bits >>> from) & 255).join(".");
}

/** One entry of X-Forwarded-For: an address, which some proxies write with its port, or in brackets; null for anything else, such as "unknown". */
function hopAddress(entry: string): string | null {
	const text = entry.trim();
	if (text.length > 64) return null;
	const [, bracketed, withPort] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
	const address = plainAddress(bracketed ?? withPort ?? text);
	return isIP(address) === 0 || address.includes("%") ? null : address;
}
