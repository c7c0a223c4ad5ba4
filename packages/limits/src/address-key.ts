import { addressBytes } from "@shardcast/config";

/**
 * A client address as a 64-bit key: the IPv4 address, or the first 64 bits of an IPv6 address, because a single customer or machine gets at
 * least a /64 and can use any address in it.
 */
export type AddressKey = bigint;

const ipv4Bytes = 4;
const ipv6Bytes = 16;
const mappedPrefix = Buffer.from("00000000000000000000ffff", "hex");

/** @param bytes in network order: 4, or 16, where the last 4 may hold a mapped IPv4 address. */
export function addressKey(bytes: Uint8Array): AddressKey {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (bytes.length === ipv4Bytes) return BigInt(view.getUint32(0));
	if (bytes.length !== ipv6Bytes) return 0n;
	return isMapped(bytes) ? BigInt(view.getUint32(ipv6Bytes - ipv4Bytes)) : view.getBigUint64(0);
}

/** @param text as for `addressBytes`; anything that is not an address gets one common key. */
export function addressKeyOf(text: string): AddressKey {
	return addressKey(addressBytes(text));
}

/** An address as text, "" for anything else. @param bytes as for `addressKey`. */
export function addressText(bytes: Uint8Array): string {
	if (bytes.length === ipv4Bytes) return bytes.join(".");
	if (bytes.length !== ipv6Bytes) return "";
	if (isMapped(bytes)) return bytes.subarray(ipv6Bytes - ipv4Bytes).join(".");
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Array.from({ length: 8 }, (_, index) => view.getUint16(2 * index).toString(16)).join(":");
}

/** For people: "192.0.2.1" or "2001:db8:0:0::/64". */
export function formatAddressKey(key: AddressKey): string {
	const bits = (count: bigint, from: bigint) => Number((key >> from) & ((1n << count) - 1n));
	if (key <= 0xffff_ffffn) return [24n, 16n, 8n, 0n].map((from) => bits(8n, from)).join(".");
	return `${[48n, 32n, 16n, 0n].map((from) => bits(16n, from).toString(16)).join(":")}::/64`;
}

function isMapped(bytes: Uint8Array): boolean {
	return mappedPrefix.compare(bytes, 0, mappedPrefix.length) === 0;
}
