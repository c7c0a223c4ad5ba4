import type { Namespaces } from "@shardcast/channels";
import { type Ask, disconnectQuestion, refreshQuestion, subscribeQuestion, type UserTarget, unsubscribeQuestion } from "@shardcast/control";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import { FieldError, type Fields, infoField, overrideField, payloadField, tableField, textField } from "../../json/fields.ts";
import type { ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";

export interface UserMethodsParts {
	/** Looked up at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	/** Puts a question to all shards; rejects with an ApiError. */
	readonly ask: Ask;
}

const done = "{}";
const whitelistMax = 1000;

/** Orders about the connections of a user, on all shards. */
export function userMethods({
	namespaces,
	ask,
}: UserMethodsParts): Readonly<Record<"subscribe" | "unsubscribe" | "disconnect" | "refresh", ApiMethod>> {
	return {
		subscribe: async (call) => {
			const { fields } = call;
			const channel = call.check(channelField(fields));
			const target = targetOf(fields);
			const { error } = namespaces().of(channel);
			if (error !== null) throw new ApiError(error);
			const [info, data] = [infoField(fields), payloadField(fields, "data")];
			const [expireAt, recoverSince] = [expireAtField(fields), sinceField(fields, "recover_since")];
			const override = overrideField(fields);
			await ask(subscribeQuestion, {
				...target,
				channel,
				...(info !== null && { info: Buffer.from(info).toString() }),
				...(data !== null && { data: Buffer.from(data).toString() }),
				...(expireAt > 0 && { expireAt }),
				...(recoverSince !== null && { recoverSince }),
				...(Object.keys(override).length > 0 && { override: override as Readonly<Record<string, boolean>> }),
			});
			return done;
		},
		unsubscribe: async (call) => {
			const channel = call.check(channelField(call.fields));
			await ask(unsubscribeQuestion, { ...targetOf(call.fields), channel });
			return done;
		},
		disconnect: async ({ fields }) => {
			const asked = tableField(fields, "disconnect") ?? disconnects[DisconnectCode.forceNoReconnect];
			const { code, reason = "" } = asked as { readonly code?: unknown; readonly reason?: unknown };
			if (typeof code !== "number" || !Number.isInteger(code) || code < 3000 || code > 4999)
				throw new FieldError("disconnect.code is no whole number from 3000 to 4999");
			if (typeof reason !== "string") throw new FieldError("disconnect.reason is not a string");
			if (Buffer.byteLength(reason) > 123) throw new FieldError("disconnect.reason has more than 123 bytes");
			const whitelist = fields.whitelist ?? [];
			if (!Array.isArray(whitelist) || whitelist.length > whitelistMax || whitelist.some((id) => typeof id !== "string"))
				throw new FieldError(`whitelist is no list of at most ${whitelistMax} client ids`);
			await ask(disconnectQuestion, {
				...targetOf(fields),
				code,
				reason,
				...(whitelist.length > 0 && { whitelist: whitelist as string[] }),
			});
			return done;
		},
		refresh: async ({ fields }) => {
			const { expired = false } = fields;
			if (typeof expired !== "boolean") throw new FieldError("expired is neither true nor false");
			const [expireAt, info] = [expireAtField(fields), infoField(fields)];
			await ask(refreshQuestion, {
				...targetOf(fields),
				expired,
				...(expireAt > 0 && { expireAt }),
				...(info !== null && { info: Buffer.from(info).toString() }),
			});
			return done;
		},
	};
}

/** @throws FieldError without a user. */
function targetOf(fields: Fields): UserTarget {
	const [user, client, session] = [textField(fields, "user"), textField(fields, "client"), textField(fields, "session")];
	if (user === "") throw new FieldError("user is missing");
	return { user, ...(client !== "" && { client }), ...(session !== "" && { session }) };
}

/** @throws FieldError without one. */
export function channelField(fields: Fields): string {
	const channel = textField(fields, "channel");
	if (channel === "") throw new FieldError("channel is missing");
	return channel;
}

/** Seconds since 1970; 0 = there is none. */
export function expireAtField(fields: Fields): number {
	const expireAt = fields.expire_at ?? 0;
	if (typeof expireAt !== "number" || expireAt < 0) throw new FieldError("expire_at is not a number of seconds");
	return expireAt;
}

/** Null = there is none. */
export function sinceField(fields: Fields, name: string): { readonly offset: number; readonly epoch: string } | null {
	const since = tableField(fields, name);
	if (since === null) return null;
	const offset = since.offset ?? 0;
	if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0)
		throw new FieldError(`${name}.offset is no whole number from 0`);
	return { offset, epoch: textField(since, "epoch") };
}
