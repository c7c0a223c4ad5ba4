import type { MessageDetails } from "@shardcast/bus";
import { tagsBytesMax } from "../http/publish-request.ts";
import {
	bytesField,
	FieldError,
	type Fields,
	flagField,
	infoField,
	overrideField,
	payloadField,
	tableField,
	textField,
} from "../json/fields.ts";
import { userField } from "../json/user-id.ts";
import type { ConnectionClaims, GrantedSubscription } from "../sessions/centrifuge/tokens/connection-token.ts";
import { expiryClaim } from "../sessions/centrifuge/tokens/expiry-claim.ts";
import { writtenMember } from "./json-members.ts";

/** The same as in a connection token, and the `data` of the connect reply: any bytes. */
export interface ConnectResult extends Omit<ConnectionClaims, "token"> {
	readonly token: null;
	readonly data: Uint8Array | null;
}

export interface RefreshResult {
	/** The connection, or the subscription, ends now. */
	readonly expired: boolean;
	/** Seconds since 1970; Infinity = never. */
	readonly expiresAt: number;
	/** Null = unchanged. */
	readonly info: Uint8Array | null;
	readonly meta: Uint8Array | null;
}

export interface SubscribeResult extends GrantedSubscription {
	readonly expiresAt: number;
}

export interface PublishResult {
	/** Published instead of what the client sent; null = what the client sent. */
	readonly data: Uint8Array | null;
	readonly details: Pick<MessageDetails, "tags" | "idempotencyKey" | "delta" | "skipHistory">;
}

/** The decisions of a backend, by the name of the hook. */
export interface HookResults {
	/** Null = the backend does not know the client: it is treated as one without a token. */
	readonly connect: ConnectResult | null;
	readonly refresh: RefreshResult;
	readonly sub_refresh: RefreshResult;
	readonly subscribe: SubscribeResult;
	readonly publish: PublishResult;
	readonly rpc: { readonly data: Uint8Array | null };
}

export type HookName = keyof HookResults;

/** How the `result` is written. Called for its data alone. */
type Written = () => Uint8Array | null;

/** Reads the `result` of a reply; null = there is none. Throws FieldError. */
type ReadResult<H extends HookName> = (fields: Fields | null, written: Written) => HookResults[H];

const nothing: Fields = {};

/** A missing result counts as an empty one; but a client that the backend does not confirm has expired. */
export const hookResults: { readonly [H in HookName]: ReadResult<H> } = {
	connect: (fields, written) => {
		if (fields === null) return null;
		return {
			user: userField(fields),
			expiresAt: expiryIn(fields),
			info: infoField(fields),
			meta: metaIn(fields),
			token: null,
			data: dataIn(fields, written),
			subscriptions: subscriptionsIn(fields),
		};
	},
	refresh: refreshIn,
	sub_refresh: refreshIn,
	subscribe: (fields, written) => ({ ...grantIn(fields ?? nothing, written), expiresAt: expiryIn(fields ?? nothing) }),
	publish: (fields, written) => ({
		data: dataIn(fields ?? nothing, written),
		details: detailsIn(fields ?? nothing),
	}),
	rpc: (fields, written) => ({ data: dataIn(fields ?? nothing, written) }),
};

function refreshIn(fields: Fields | null): RefreshResult {
	if (fields === null) return { expired: true, expiresAt: Number.POSITIVE_INFINITY, info: null, meta: null };
	return { expired: flagField(fields, "expired"), expiresAt: expiryIn(fields), info: infoField(fields), meta: metaIn(fields) };
}

function grantIn(fields: Fields, written: Written | null): GrantedSubscription {
	return { info: infoField(fields), data: dataIn(fields, written), override: overrideField(fields) };
}

/** The channels in `subs`, with their options, and those that are only in `channels`. */
function subscriptionsIn(fields: Fields): ReadonlyMap<string, GrantedSubscription> {
	const channels = fields.channels ?? [];
	if (!Array.isArray(channels) || channels.some((name) => typeof name !== "string"))
		throw new FieldError("channels is not a list of names");
	const subs = tableField(fields, "subs") ?? nothing;
	const plain = channels.map((name: string) => [name, grantIn(nothing, null)] as const);
	const named = Object.keys(subs).map((name) => [name, grantIn(tableField(subs, name) ?? nothing, null)] as const);
	return new Map([...plain, ...named]);
}

function detailsIn(fields: Fields): PublishResult["details"] {
	const tags = tableField(fields, "tags") ?? nothing;
	const texts = Object.entries(tags).flat();
	if (!texts.every((text) => typeof text === "string" && text.isWellFormed())) throw new FieldError("tags is not an object of strings");
	if (Buffer.byteLength(JSON.stringify(tags)) > tagsBytesMax) throw new FieldError(`tags has more than ${tagsBytesMax} bytes`);
	const idempotencyKey = textField(fields, "idempotency_key");
	return {
		...(texts.length > 0 && { tags: tags as Readonly<Record<string, string>> }),
		...(idempotencyKey !== "" && { idempotencyKey }),
		...(flagField(fields, "delta") && { delta: true }),
		...(flagField(fields, "skip_history") && { skipHistory: true }),
	};
}

/** `data` stays as it was written, if that is known; `b64data` may hold any bytes. */
function dataIn(fields: Fields, written: Written | null): Uint8Array | null {
	if (written === null) return payloadField(fields, "data");
	if (textField(fields, "b64data") !== "") return bytesField(fields, "data");
	const result = (fields.data ?? null) === null ? null : written();
	return result === null ? null : writtenMember(result, "data");
}

function metaIn({ meta }: Fields): Uint8Array | null {
	return payloadField({ meta }, "meta");
}

function expiryIn({ expire_at }: Fields): number {
	return expiryClaim({ expire_at });
}
