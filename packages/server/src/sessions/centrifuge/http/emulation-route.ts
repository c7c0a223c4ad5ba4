import { type BodyRoute, type Reply, refusal } from "@shardcast/http";
import { type EmulationRequest, jsonCodec, ProtocolError, protobufCodec } from "@shardcast/protocol";
import { frameBytesMax } from "../commands/commands.ts";
import type { Emulation, EmulationOutcome } from "./emulation.ts";

/** `POST /emulation`: commands of a client whose connection goes only from server to client. The replies arrive on that connection. */
export function emulationRoute(emulation: Pick<Emulation, "take">): BodyRoute {
	return {
		kind: "body",
		method: "POST",
		path: "/emulation",
		forPages: true,
		withCredentials: true,
		keepAlive: true,
		bodyBytesMax: frameBytesMax,
		begin: (asked) => {
			const codec = isProtobuf(asked.header("content-type")) ? protobufCodec : jsonCodec;
			return (body) => {
				let request: EmulationRequest;
				try {
					request = codec.decodeEmulation(body);
				} catch (error) {
					if (!(error instanceof ProtocolError)) throw error;
					return refusal("bad_request", `invalid emulation request: ${error.message}`);
				}
				const outcome = emulation.take(request.session, request.data);
				return outcome instanceof Promise ? outcome.then(replyTo) : replyTo(outcome);
			};
		},
	};
}

/** Whether a content type says that a body, or the messages of a response, are Protobuf. */
export function isProtobuf(contentType: string): boolean {
	return /^application\/octet-stream\b/i.test(contentType);
}

const taken: Reply = { status: 204, body: "", headers: {}, close: false };

function replyTo(outcome: EmulationOutcome): Reply {
	switch (outcome) {
		case "accepted":
			return taken;
		case "unknown":
			return refusal("not_found", "no shard of this cluster has this session: connect again", { close: false });
		default:
			return refusal("unavailable", "the shards are too busy to pass on these commands; try again", { close: false });
	}
}
