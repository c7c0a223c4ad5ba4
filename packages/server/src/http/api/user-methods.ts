import type { Namespaces } from "@shardcast/channels";
import { type Ask, disconnectQuestion, refreshQuestion, subscribeQuestion, type UserTarget, unsubscribeQuestion } from "@shardcast/control";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import {
	FieldError,
	type Fields,
	flagField,
	infoField,
	overrideField,
	payloadField,
	requiredField,
	tableField,
	textField,
} from "../../json/fields.ts";
import { requiredUserField } from "../../json/user-id.ts";
import type { ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { expireAtField, sinceField } from "./api-fields.ts";

interface UserMethodsParts {
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
			const channel = call.check(requiredField(fields, "channel"));
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
			const channel = call.check(requiredField(call.fields, "channel"));
			await ask(unsubscribeQuestion, { ...targetOf(call.fields), channel });
			return done;
		},
		disconnect: async ({ fields }) => {
			const asked = tableField(fields, "disconnect") ?? disconnects[DisconnectCode.forceNoReconnect];
			const { code, reason = "" } = asked as { readonly code?: unknown; readonly reason?: unknown };
			if (typeof code !== "number" || !Number.isInteger(code) || code < 3000 || code > 4999)
				throw new FieldError("disconnect.code is not an integer from 3000 to 4999");
			if (typeof reason !== "string") throw new FieldError("disconnect.reason is not a string");
			if (Buffer.byteLength(reason) > 123) throw new FieldError("disconnect.reason has more than 123 bytes");
			const whitelist = fields.whitelist ?? [];
			if (!Array.isArray(whitelist) || whitelist.length > whitelistMax || whitelist.some((id) => typeof id !== "string"))
				throw new FieldError(`whitelist is not a list of at most ${whitelistMax} client ids`);
			await ask(disconnectQuestion, {
				...targetOf(fields),
				code,
				reason,
				...(whitelist.length > 0 && { whitelist: whitelist as string[] }),
			});
			return done;
		},
		refresh: async ({ fields }) => {
			const [expired, expireAt, info] = [flagField(fields, "expired"), expireAtField(fields), infoField(fields)];
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
	const [user, client, session] = [requiredUserField(fields), textField(fields, "client"), textField(fields, "session")];
	return { user, ...(client !== "" && { client }), ...(session !== "" && { session }) };
}
