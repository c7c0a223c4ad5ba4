import type { Namespaces } from "@shardcast/channels";
import {
	type Ask,
	disconnectQuestion,
	presenceQuestion,
	presenceStatsQuestion,
	subscribeQuestion,
	type UserTarget,
	unsubscribeQuestion,
} from "@shardcast/control";
import { type BodyRoute, type HttpRequest, json, jsonLine, type Reply, refusal } from "@shardcast/http";
import { DisconnectCode, disconnects, ErrorCode, jsonCodec, replyErrors } from "@shardcast/protocol";
import { FieldError, type Fields, infoField, payloadField, tableField, textField } from "../json/fields.ts";
import { presenceResult } from "../sessions/centrifuge/commands/presence-commands.ts";
import type { ApiAccess } from "./api-access.ts";

export interface ServerApiParts {
	/** Looked up at each use. */
	readonly namespaces: () => Pick<Namespaces, "of">;
	readonly access: Pick<ApiAccess, "refused">;
	/** Puts a question to all shards. */
	readonly ask: Ask;
}

const bodyBytesMax = 65_536;

type Method = (request: Fields) => Promise<Reply>;

/**
 * What a backend orders and asks about clients of the Centrifuge protocol on all shards, at `POST /api/<method>`: subscribe, unsubscribe,
 * disconnect, presence, presence_stats. Answers `{"result":…}`, or `{"error":{"code","message"}}` with the protocol's codes and status 200.
 */
export class ServerApi {
	readonly name = "server API";
	readonly routes: readonly BodyRoute[];
	readonly #parts: ServerApiParts;

	constructor(parts: ServerApiParts) {
		this.#parts = parts;
		const methods: Readonly<Record<string, Method>> = {
			subscribe: this.#subscribe,
			unsubscribe: this.#unsubscribe,
			disconnect: this.#disconnect,
			presence: this.#presence,
			presence_stats: this.#presenceStats,
		};
		this.routes = Object.entries(methods).map(([name, method]) => ({
			kind: "body",
			method: "POST",
			path: `/api/${name}`,
			keepAlive: true,
			bodyBytesMax,
			begin: (request) => this.#begin(request, method),
		}));
	}

	#begin(request: HttpRequest, method: Method): ReturnType<BodyRoute["begin"]> {
		const refused = this.#parts.access.refused(request);
		if (refused !== null) return refused;
		return (body) => this.#take(body, method);
	}

	async #take(body: Uint8Array, method: Method): Promise<Reply> {
		try {
			return await method(tableField({ body: JSON.parse(Buffer.from(body).toString()) as unknown }, "body") ?? {});
		} catch (error) {
			if (error instanceof SyntaxError) return refusal("bad_request", "the body is no JSON", { close: false });
			if (error instanceof FieldError) return failed(ErrorCode.badRequest, error.message);
			if (error instanceof Unanswered) return failed(ErrorCode.internal, error.message);
			throw error;
		}
	}

	/** @throws Unanswered when a shard has not answered. */
	readonly #ask: Ask = async (question, request) => {
		try {
			return await this.#parts.ask(question, request);
		} catch (error) {
			throw new Unanswered((error as Error).message);
		}
	};

	readonly #subscribe: Method = async (request) => {
		const channel = textField(request, "channel");
		const target = targetOf(request);
		const { error } = this.#parts.namespaces().of(channel);
		if (error !== null) return failed(error);
		const [info, data] = [infoField(request), payloadField(request, "data")];
		const expireAt = request.expire_at ?? 0;
		if (typeof expireAt !== "number") throw new FieldError("expire_at is not a number");
		await this.#ask(subscribeQuestion, {
			...target,
			channel,
			...(info !== null && { info: Buffer.from(info).toString() }),
			...(data !== null && { data: Buffer.from(data).toString() }),
			...(expireAt > 0 && { expireAt }),
		});
		return done;
	};

	readonly #unsubscribe: Method = async (request) => {
		const channel = textField(request, "channel");
		if (channel === "") throw new FieldError("channel is missing");
		await this.#ask(unsubscribeQuestion, { ...targetOf(request), channel });
		return done;
	};

	readonly #disconnect: Method = async (request) => {
		const asked = tableField(request, "disconnect") ?? disconnects[DisconnectCode.forceNoReconnect];
		const { code, reason = "" } = asked as { readonly code?: unknown; readonly reason?: unknown };
		if (typeof code !== "number" || !Number.isInteger(code) || code < 3000 || code > 4999)
			throw new FieldError("disconnect.code is no whole number from 3000 to 4999");
		if (typeof reason !== "string") throw new FieldError("disconnect.reason is not a string");
		if (Buffer.byteLength(reason) > 123) throw new FieldError("disconnect.reason has more than 123 bytes");
		await this.#ask(disconnectQuestion, { ...targetOf(request), code, reason });
		return done;
	};

	readonly #presence: Method = async (request) => {
		const channel = textField(request, "channel");
		const refused = this.#presenceRefused(channel);
		if (refused !== null) return refused;
		const clients = await this.#ask(presenceQuestion, { channel });
		if (clients === null) return failed(ErrorCode.limitExceeded, "there are more clients than fit into an answer; ask for presence_stats");
		const presence = presenceResult(clients);
		// As the protocol writes it, info byte for byte.
		const encoded = jsonCodec.encodeReply({ presence }).subarray('{"presence":'.length);
		return { ...json(200, null), body: Buffer.concat([Buffer.from('{"result":'), encoded, Buffer.from("\n")]) };
	};

	readonly #presenceStats: Method = async (request) => {
		const channel = textField(request, "channel");
		const refused = this.#presenceRefused(channel);
		if (refused !== null) return refused;
		const { clients, users } = await this.#ask(presenceStatsQuestion, { channel });
		return json(200, { result: { num_clients: clients, num_users: users } });
	};

	#presenceRefused(name: string): Reply | null {
		const { error, options } = this.#parts.namespaces().of(name);
		if (error !== null) return failed(error);
		return options.presence ? null : failed(ErrorCode.notAvailable);
	}
}

/** A question found no answer, or a shard may not have carried out an order. */
class Unanswered extends Error {}

/** @throws FieldError without a user. */
function targetOf(request: Fields): UserTarget {
	const [user, client] = [textField(request, "user"), textField(request, "client")];
	if (user === "") throw new FieldError("user is missing");
	return { user, ...(client !== "" && { client }) };
}

const done: Reply = json(200, { result: {} });

function failed(code: ErrorCode, detail?: string): Reply {
	const { message } = replyErrors[code];
	return { ...done, body: jsonLine({ error: { code, message: detail === undefined ? message : `${message}: ${detail}` } }) };
}
