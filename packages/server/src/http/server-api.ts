import { isUtf8 } from "node:buffer";
import type { ApiMethodName } from "@shardcast/config";
import { type Ask, apiMetrics, type ClusterNode } from "@shardcast/control";
import { type AnswerRoute, type BodyRoute, type HttpRequest, type NodeSelection, openApiRoute, type Reply, refusal } from "@shardcast/http";
import { ErrorCode } from "@shardcast/protocol";
import type { ProcessMetrics } from "@shardcast/telemetry";
import type { Incoming } from "../delivery/incoming/incoming.ts";
import type { Feature } from "../lifecycle/feature.ts";
import { type PublishTracing, RequestSpan } from "../tracing/request-span.ts";
import { version } from "../version.ts";
import { ApiCall, type ApiMethod, ApiRequest } from "./api/api-call.ts";
import { ApiCommands } from "./api/api-commands.ts";
import { ApiError } from "./api/api-error.ts";
import { errorReply, type ResultForm, resultReply } from "./api/api-reply.ts";
import { batchMethod } from "./api/batch-method.ts";
import { type ChannelMethodsParts, channelMethods } from "./api/channel-methods.ts";
import { clusterMethods } from "./api/cluster-methods.ts";
import { directMethods } from "./api/direct-methods.ts";
import { pipeline } from "./api/pipeline.ts";
import { publishMethods } from "./api/publish-methods.ts";
import { revocationMethods } from "./api/revocation-methods.ts";
import { sessionMethods } from "./api/session-methods.ts";
import { userMethods } from "./api/user-methods.ts";
import type { ApiAccess } from "./api-access.ts";
import type { ApiKey } from "./api-keys.ts";
import type { PublishingParts } from "./publishing.ts";

interface ServerApiParts extends PublishingParts, ChannelMethodsParts {
	readonly incoming: Pick<Incoming, "publish" | "direct">;
	readonly access: Pick<ApiAccess, "keyFor" | "counts">;
	/** The longest body of a method that publishes. */
	readonly publishBytesMax: number;
	/** Puts a question to all shards. */
	readonly ask: Ask;
	readonly selection: Pick<NodeSelection<ClusterNode>, "assign">;
	/** Writes an audit line. */
	readonly audit: (fields: object, text: string) => void;
	/** Absent = requests are not traced. */
	readonly tracing?: PublishTracing | null;
}

interface ReplyForm {
	readonly inStatus: boolean;
	readonly form: ResultForm;
}

const forms: Readonly<Record<string, ResultForm>> = { batch: "bare", "": "lines" };

const bodyBytesMax = 65_536;
/** The most requests in progress; further ones get 503. */
const underWayMax = 256;
const busy = refusal("unavailable", `${underWayMax} requests to the server API are in progress on this shard; try again`, { close: false });
/** Methods that send messages, or run several commands. */
const longBodies = new Set(["broadcast", "batch", "send_to_user", "send_to_all", ""]);

/**
 * `POST /api/<method>`: operations and queries of a backend, on all shards. Answers `{"result":…}`, or `{"error":{"code","message"}}` with the
 * protocol's codes and status 200. `POST /api/publish` is `PublishApi`. `POST /api` accepts several commands at once; see `pipeline`.
 */
export class ServerApi implements Feature {
	readonly name = "server API";
	readonly routes: readonly (BodyRoute | AnswerRoute)[];
	readonly #parts: ServerApiParts;
	#underWay = 0;
	/** Refusals by limit. */
	readonly #overLimit = { requests: 0, replies: 0 };
	#draining = false;

	constructor(parts: ServerApiParts) {
		this.#parts = parts;
		const asking = { ...parts, ask: this.#ask };
		const { publish, broadcast } = publishMethods(parts);
		const methods = {
			broadcast,
			...directMethods({ ...parts, nodeOnly: false }),
			...userMethods(asking),
			...channelMethods(asking),
			...clusterMethods(asking),
			...revocationMethods(asking),
			...sessionMethods(asking),
		};
		const commands = new ApiCommands({
			methods: { publish, ...methods },
			onTooLong: () => {
				this.#overLimit.replies++;
			},
		});
		const all: Readonly<Record<Exclude<ApiMethodName, "publish">, ApiMethod>> = { ...methods, batch: batchMethod(commands) };
		// The route without a method is Centrifugo's older one.
		const methodRoutes = Object.entries({ ...all, "": (call: ApiCall) => pipeline(commands, call) }).map(
			([name, method]): BodyRoute => ({
				kind: "body",
				method: "POST",
				path: name === "" ? "/api" : `/api/${name}`,
				keepAlive: true,
				bodyBytesMax: longBodies.has(name) ? Math.max(bodyBytesMax, parts.publishBytesMax) : bodyBytesMax,
				begin: (request) => this.#begin(request, name, method),
			}),
		);
		this.routes = [...methodRoutes, openApiRoute(version)];
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(apiMetrics, () => ({ ...this.#parts.access.counts, overLimit: this.#overLimit }));
	}

	/** From now on, new requests are refused. The listener waits for those in progress. */
	drain(): void {
		this.#draining = true;
	}

	unfinished(): number {
		return this.#underWay;
	}

	#begin(request: HttpRequest, name: string, method: ApiMethod): ReturnType<BodyRoute["begin"]> {
		if (this.#draining) return refusal("shutting_down");
		const key = this.#parts.access.keyFor(request, name === "" ? "batch" : name);
		if ("status" in key) return key;
		const inStatus = request.header("x-centrifugo-error-mode").toLowerCase() === "transport";
		const { tracing } = this.#parts;
		const path = name === "" ? "/api" : `/api/${name}`;
		const span = tracing == null || !longBodies.has(name) ? null : RequestSpan.begin(tracing, request, path);
		const replyForm = { inStatus, form: forms[name] ?? "result" };
		if (span === null) return (body) => this.#take(request, key, body, method, replyForm, null);
		return (body) => span.endsWith(this.#take(request, key, body, method, replyForm, span));
	}

	async #take(
		from: HttpRequest,
		key: ApiKey,
		body: Uint8Array,
		method: ApiMethod,
		{ inStatus, form }: ReplyForm,
		span: RequestSpan | null,
	): Promise<Reply> {
		if (this.#underWay >= underWayMax) {
			this.#overLimit.requests++;
			return busy;
		}
		if (!isUtf8(body)) return refusal("bad_request", "the body is not JSON: it is not UTF-8", { close: false });
		const source = {
			get address() {
				return from.address;
			},
			batch: { isOver: false },
		};
		this.#underWay++;
		try {
			// The body is valid only in this step. An empty one has no fields.
			const own = body.length === 0 ? Buffer.from("{}") : Buffer.from(body);
			return resultReply(await method(new ApiCall(new ApiRequest(key, source, span), own)), form);
		} catch (error) {
			return errorReply(error, inStatus, form);
		} finally {
			this.#underWay--;
		}
	}

	/** @throws ApiError when a shard did not answer. */
	readonly #ask: Ask = async (question, request) => {
		try {
			return await this.#parts.ask(question, request);
		} catch (error) {
			throw new ApiError(ErrorCode.internal, (error as Error).message);
		}
	};
}
