import type { ChannelOptions } from "@shardcast/config";
import { RecordKind } from "@shardcast/wire";
import { asJson } from "../../../delivery/delivered-record.ts";

/** The claims of a token, or of a part of it; their types are not checked yet. */
export type Claims = Readonly<Record<string, unknown>>;

/** Longest information about a client: every publication of the client carries it, so it must be short. */
export const infoBytesMax = 16_384;

/** A claim of a token is invalid. */
export class ClaimError extends Error {}

export function textClaim(claims: Claims, name: string): string {
	const value = claims[name] ?? "";
	if (typeof value !== "string") throw new ClaimError(`${name} is not a string`);
	return value;
}

/** Null = there is none. */
export function tableClaim(claims: Claims, name: string): Claims | null {
	const value = claims[name] ?? null;
	if (value !== null && (typeof value !== "object" || Array.isArray(value))) throw new ClaimError(`${name} is not an object`);
	return value as Claims | null;
}

/**
 * A claim with JSON. The claim of the same name with the prefix `b64` takes precedence and may hold any bytes. Null = neither is there. Bytes that
 * are not JSON become a JSON string, because clients of the JSON protocol get the value as it is.
 */
export function payloadClaim(claims: Claims, name: string): Uint8Array | null {
	const base64 = textClaim(claims, `b64${name}`);
	if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw new ClaimError(`b64${name} is not Base64`);
	if (base64 !== "") return asJson(Buffer.from(base64, "base64"), RecordKind.binary);
	const value = claims[name] ?? null;
	return value === null ? null : jsonOf(name, value);
}

/** JSON.parse takes any nesting, JSON.stringify overflows the stack. */
function jsonOf(name: string, value: unknown): Uint8Array {
	try {
		return Buffer.from(JSON.stringify(value));
	} catch (error) {
		if (error instanceof RangeError) throw new ClaimError(`${name} is nested too deeply`);
		throw error;
	}
}

/** See `payloadClaim`. */
export function infoClaim(claims: Claims): Uint8Array | null {
	const info = payloadClaim(claims, "info");
	if (info !== null && info.length > infoBytesMax) throw new ClaimError(`info has more than ${infoBytesMax} bytes`);
	return info;
}

/**
 * When the permission that the token gives expires, in seconds since 1970; Infinity = never. `expire_at` takes precedence over `exp`, and
 * 0 means never there.
 */
export function expiryClaim(claims: Claims): number {
	const { exp, expire_at: expireAt } = claims;
	if (expireAt !== undefined && expireAt !== null) {
		if (typeof expireAt !== "number") throw new ClaimError("expire_at is not a number");
		return expireAt > 0 ? expireAt : Number.POSITIVE_INFINITY;
	}
	return typeof exp === "number" ? exp : Number.POSITIVE_INFINITY;
}

/** The channel options that a token overrides for its client. */
export type Override = Partial<Pick<ChannelOptions, (typeof overridden)[keyof typeof overridden]>>;
const overridden = {
	presence: "presence",
	join_leave: "joinLeave",
	force_push_join_leave: "forcePushJoinLeave",
	force_recovery: "forceRecovery",
	force_positioning: "forcePositioning",
} as const satisfies Readonly<Record<string, keyof ChannelOptions>>;

export function overrideClaim(claims: Claims): Override {
	const override = tableClaim(claims, "override") ?? {};
	return Object.fromEntries(
		Object.entries(overridden).flatMap(([name, option]) => {
			const table = tableClaim(override, name);
			if (table === null) return [];
			const value = table.value ?? false;
			if (typeof value !== "boolean") throw new ClaimError(`override.${name}.value is neither true nor false`);
			return [[option, value]];
		}),
	);
}
