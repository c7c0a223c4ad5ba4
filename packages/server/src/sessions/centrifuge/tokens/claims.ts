import type { ChannelOptions } from "@shardcast/config";
import { RecordKind } from "@shardcast/wire";
import { asJson } from "../../../delivery/delivered-record.ts";

/** The claims of a token, or of a part of it, whose types nobody has checked. */
export type Claims = Readonly<Record<string, unknown>>;

/** Other clients get it with each publication of this one, so it is not to be long. */
const infoBytesMax = 16_384;

/** A token whose claims are not what they have to be. */
export class ClaimError extends Error {}

export function textClaim(claims: Claims, name: string): string {
	const value = claims[name] ?? "";
	if (typeof value !== "string") throw new ClaimError(`${name} is no text`);
	return value;
}

/** Null = there is none. */
export function tableClaim(claims: Claims, name: string): Claims | null {
	const value = claims[name] ?? null;
	if (value !== null && (typeof value !== "object" || Array.isArray(value))) throw new ClaimError(`${name} is no object`);
	return value as Claims | null;
}

/**
 * JSON, or any bytes in the claim of the same name with `b64` before it, which counts if there are both; null = neither. What is no JSON becomes
 * a JSON string, since clients of the JSON protocol get it as it is.
 */
export function payloadClaim(claims: Claims, name: string): Uint8Array | null {
	const base64 = textClaim(claims, `b64${name}`);
	if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw new ClaimError(`b64${name} is no Base64`);
	if (base64 !== "") return asJson(Buffer.from(base64, "base64"), RecordKind.binary);
	const value = claims[name] ?? null;
	return value === null ? null : Buffer.from(JSON.stringify(value));
}

/** See `payloadClaim`. */
export function infoClaim(claims: Claims): Uint8Array | null {
	const info = payloadClaim(claims, "info");
	if (info !== null && info.length > infoBytesMax) throw new ClaimError(`info has more than ${infoBytesMax} bytes`);
	return info;
}

/**
 * When what the token allows ends, in seconds since 1970; Infinity = never. `expire_at` counts instead of `exp` when there is one, and
 * 0 there means never.
 */
export function expiryClaim(claims: Claims): number {
	const { exp, expire_at: expireAt } = claims;
	if (expireAt !== undefined && expireAt !== null) {
		if (typeof expireAt !== "number") throw new ClaimError("expire_at is no number");
		return expireAt > 0 ? expireAt : Number.POSITIVE_INFINITY;
	}
	return typeof exp === "number" ? exp : Number.POSITIVE_INFINITY;
}

/** The options of the channel that a token sets for its client. */
export type Override = Partial<Pick<ChannelOptions, (typeof overridden)[keyof typeof overridden]>>;
const overridden = {
	presence: "presence",
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
