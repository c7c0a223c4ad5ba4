import { type BodyRoute, type HttpRequest, type Reply, type Route, refusal, type StreamPath, type StreamStart } from "@shardcast/http";
import { addressKeyOf } from "@shardcast/limits";
import type { ClientHeaders } from "../../../hooks/forwarded-headers.ts";
import type { Admitted, ConnectionCheck } from "../../../limits/connection-check.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { frameBytesMax } from "../commands/commands.ts";
import { type Framing, sseJson, streamJson, streamProtobuf, uniSseJson, uniStreamJson, uniStreamProtobuf } from "../framing.ts";
import { ClientStream } from "./client-stream.ts";
import { isProtobuf } from "./emulation-route.ts";

export interface StreamRoutesParts {
	readonly check: Pick<ConnectionCheck, "turnedAway" | "admitClient" | "left">;
	/** Creates the session of an admitted client. */
	readonly session: (admitted: Admitted, framing: Framing, headers: ClientHeaders) => CentrifugeSession;
	/** The headers of a request that may be forwarded to backends. */
	readonly headers: (header: (name: string) => string) => ClientHeaders;
	/** The most bytes that may wait for a client that connects now. */
	readonly bufferedBytesMax: () => number;
}

/** A kind of stream, independent of its path. */
interface StreamKind {
	readonly framing: Framing;
	/** Content-Type. */
	readonly type: string;
	/** Written first, so that the response head is sent at once; "" = nothing. */
	readonly preface: string;
}

const jsonStream: StreamKind = { framing: streamJson, type: "application/json", preface: "" };
const protobufStream: StreamKind = { framing: streamProtobuf, type: "application/octet-stream", preface: "" };
const eventStream: StreamKind = { framing: sseJson, type: "text/event-stream", preface: "\n" };
const uniJsonStream: StreamKind = { ...jsonStream, framing: uniStreamJson };
const uniProtobufStream: StreamKind = { ...protobufStream, framing: uniStreamProtobuf };
const uniEventStream: StreamKind = { ...eventStream, framing: uniSseJson };
const asksForNothing = "{}";

/** The query parameter with the connect request, for requests without a body. */
export const connectParameter = "cf_connect";

/** The paths where clients connect by HTTP alone: the response is their connection, and their commands arrive by `POST /emulation`. */
export function streamRoutes(parts: StreamRoutesParts): Route[] {
	/** @returns what opens the stream when the first frame is known, or the reply that refuses it. */
	const judge = (request: HttpRequest, kind: StreamKind): Reply | ((first: Uint8Array) => Reply | StreamStart) => {
		const { check, session, bufferedBytesMax } = parts;
		const turnedAway = check.turnedAway();
		if (turnedAway !== null) return turnedAway;
		const forwarded = request.forwarded ?? null;
		const headers = parts.headers((name) => request.joinedHeader?.(name) ?? request.header(name));
		return (first) => {
			const admitted = check.admitClient(forwarded, () => addressKeyOf(request.address));
			if ("refused" in admitted) return admitted.refused;
			const notOpened = () => check.left(admitted.addressSlot);
			return new ClientStream(session(admitted, kind.framing, headers), {
				...kind,
				first,
				bufferedBytesMax: bufferedBytesMax(),
				notOpened,
			});
		};
	};
	const byPost = (path: StreamPath, kindOf: (request: HttpRequest) => StreamKind): BodyRoute => ({
		kind: "body",
		method: "POST",
		path,
		forPages: true,
		withCredentials: true,
		bodyBytesMax: frameBytesMax,
		begin: (request) => judge(request, kindOf(request)),
	});
	const byGet = (path: StreamPath, kind: StreamKind): Route => ({
		kind: "stream",
		method: "GET",
		path,
		forPages: true,
		withCredentials: true,
		begin: (request) => {
			const first = new URLSearchParams(request.query).get(connectParameter);
			if (first === null && !kind.framing.isUni)
				return refusal("bad_request", `the query has no ${connectParameter}: what the client says first, as JSON`);
			const begun = judge(request, kind);
			return typeof begun === "function" ? begun(Buffer.from(first ?? asksForNothing)) : begun;
		},
	});
	return [
		byPost("/connection/http_stream", (request) => (isProtobuf(request.header("content-type")) ? protobufStream : jsonStream)),
		byGet("/connection/sse", eventStream),
		byPost("/connection/sse", () => eventStream),
		byPost("/connection/uni_http_stream", (request) => (isProtobuf(request.header("content-type")) ? uniProtobufStream : uniJsonStream)),
		byGet("/connection/uni_http_stream", uniJsonStream),
		byGet("/connection/uni_sse", uniEventStream),
		byPost("/connection/uni_sse", () => uniEventStream),
	];
}
