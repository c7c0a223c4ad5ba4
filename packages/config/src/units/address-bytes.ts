import { isIPv4, isIPv6 } from "node:net";

/**
 * The 16 bytes of an address in network order: an IPv4 address is mapped into IPv6, and anything that is not an address is all zeros.
 * @param text such as "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1" or "fe80::1%eth0".
 */
export function addressBytes(text: string): Uint8Array {
	const bytes = new Uint8Array(16);
	if (isIPv4(text)) {
		bytes.set([0xff, 0xff, ...groupBytes(text)], 10);
	} else if (isIPv6(text)) {
		const [head = "", tail = ""] = text.replace(/%.*$/, "").split("::");
		const end = groupBytes(tail);
		bytes.set(groupBytes(head));
		bytes.set(end, bytes.length - end.length);
	}
	return bytes;
}

/** @param part groups of an IPv6 address, the last of which may be an IPv4 address. */
function groupBytes(part: string): number[] {
	if (part === "") return [];
	return part.split(":").flatMap((group) => {
		if (group.includes(".")) return group.split(".").map(Number);
		const value = Number.parseInt(group, 16);
		return [value >> 8, value & 255];
	});
}
