import { isUtf8 } from "node:buffer";
import type { ApiMethodName } from "@shardcast/config";
import { type Ask, apiMetrics } from "@shardcast/control";
import { type AnswerRoute, type BodyRoute, type HttpRequest, openApiRoute, type Reply, refusal } from "@shardcast/http";
import { ErrorCode } from "@shardcast/protocol";
import type { ProcessMetrics } from "@shardcast/telemetry";
import type { Feature } from "../lifecycle/feature.ts";
import { version } from "../version.ts";
import { ApiCall, type ApiMethod, ApiRequest } from "./api/api-call.ts";
import { ApiError } from "./api/api-error.ts";
import { errorReply, resultReply } from "./api/api-reply.ts";
import { batchMethod } from "./api/batch-method.ts";
import { type ChannelMethodsParts, channelMethods } from "./api/channel-methods.ts";
import { clusterMethods } from "./api/cluster-methods.ts";
import { publishMethods } from "./api/publish-methods.ts";
import { revocationMethods } from "./api/revocation-methods.ts";
import { userMethods } from "./api/user-methods.ts";
import type { ApiAccess } from "./api-access.ts";
import type { ApiKey } from "./api-keys.ts";
import type { PublishingParts } from "./publishing.ts";

export interface ServerApiParts extends PublishingParts, ChannelMethodsParts {
	readonly access: Pick<ApiAccess, "keyFor" | "counts">;
	/** Longest body of a method that publishes. */
	readonly publishBytesMax: number;
	/** Puts a question to all shards. */
	readonly ask: Ask;
}

interface ReplyForm {
	readonly inStatus: boolean;
	readonly isBare: boolean;
}

const bodyBytesMax = 65_536;
/** Requests that wait for answers at once; more are told to come again. */
const underWayMax = 256;

/**
 * What a backend orders and asks at `POST /api/<method>`, on all shards. Answers `{"result":…}`, or `{"error":{"code","message"}}` with the
 * protocol's codes and status 200. `POST /api/publish` is `PublishApi`.
 */
export class ServerApi implements Feature {
	readonly name = "server API";
	readonly routes: readonly (BodyRoute | AnswerRoute)[];
	readonly #parts: ServerApiParts;
	#underWay = 0;
	#draining = false;

	constructor(parts: ServerApiParts) {
		this.#parts = parts;
		const asking = { ...parts, ask: this.#ask };
		const { publish, broadcast } = publishMethods(parts);
		const methods = {
			broadcast,
			...userMethods(asking),
			...channelMethods(asking),
			...clusterMethods(asking),
			...revocationMethods(asking),
		};
		const all: Readonly<Record<Exclude<ApiMethodName, "publish">, ApiMethod>> = { ...methods, batch: batchMethod({ publish, ...methods }) };
		const methodRoutes = Object.entries(all).map(
			([name, method]): BodyRoute => ({
				kind: "body",
				method: "POST",
				path: `/api/${name}`,
				keepAlive: true,
				bodyBytesMax: name === "broadcast" || name === "batch" ? Math.max(bodyBytesMax, parts.publishBytesMax) : bodyBytesMax,
				begin: (request) => this.#begin(request, name, method),
			}),
		);
		this.routes = [...methodRoutes, openApiRoute(version)];
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(apiMetrics, () => this.#parts.access.counts);
	}

	/** From now on no new request is taken; those under way are finished. */
	drain(): void {
		this.#draining = true;
	}

	unfinished(): number {
		return this.#underWay;
	}

	#begin(request: HttpRequest, name: string, method: ApiMethod): ReturnType<BodyRoute["begin"]> {
		if (this.#draining) return refusal("shutting_down");
		const key = this.#parts.access.keyFor(request, name);
		if ("status" in key) return key;
		const inStatus = request.header("x-centrifugo-error-mode").toLowerCase() === "transport";
		return (body) => this.#take(request, key, body, method, { inStatus, isBare: name === "batch" });
	}

	async #take(from: HttpRequest, key: ApiKey, body: Uint8Array, method: ApiMethod, { inStatus, isBare }: ReplyForm): Promise<Reply> {
		if (this.#underWay >= underWayMax) return refusal("unavailable", undefined, { close: false });
		if (!isUtf8(body)) return refusal("bad_request", "the body is no JSON: it is not UTF-8", { close: false });
		const source = {
			get address() {
				return from.address;
			},
			batch: { isOver: false },
		};
		this.#underWay++;
		try {
			// The body is valid in this step only. An empty one has no fields.
			const own = body.length === 0 ? Buffer.from("{}") : Buffer.from(body);
			return resultReply(await method(new ApiCall(new ApiRequest(key, source), own)), isBare);
		} catch (error) {
			return errorReply(error, inStatus);
		} finally {
			this.#underWay--;
		}
	}

	/** @throws ApiError when a shard has not answered. */
	readonly #ask: Ask = async (question, request) => {
		try {
			return await this.#parts.ask(question, request);
		} catch (error) {
			throw new ApiError(ErrorCode.internal, (error as Error).message);
		}
	};
}
