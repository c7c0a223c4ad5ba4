import type { OutboxRow, RowResult } from "@shardcast/postgres";
import type { PublishResult } from "@shardcast/wire";
import type { Incoming } from "../delivery/incoming/incoming.ts";
import { PublishRequestError, parsePublish } from "../http/publish-request.ts";

export interface RowPublisherParts {
	readonly incoming: Pick<Incoming, "publish">;
	readonly payloadBytesMax: number;
}

/** The outbox has no address. */
const outbox = { address: "" };
/** A handler that throws may have been unlucky. */
const handlerTriesMax = 5;

/** Publishes a row of the outbox as `POST /api/publish` would: the same contents mean the same, and the same is refused. */
export function publishRow({ incoming, payloadBytesMax }: RowPublisherParts, row: OutboxRow): RowResult | Promise<RowResult> {
	let message: ReturnType<typeof parsePublish>;
	try {
		message = parsePublish("", "", bodyOf(row));
	} catch (error) {
		if (!(error instanceof PublishRequestError)) throw error;
		return { outcome: "dead", reason: error.message };
	}
	if (!("payload" in message)) return { outcome: "dead", reason: "it is not one message" };
	const { kind, channels, payload, details } = message;
	if (payload.length > payloadBytesMax)
		return { outcome: "dead", reason: `the message is ${payload.length} bytes; the most is ${payloadBytesMax}` };
	const publishing = incoming.publish(kind, channels, payload, outbox, "outbox", details);
	return publishing instanceof Promise ? publishing.then(resultOf) : resultOf(publishing);
}

function bodyOf({ channel, data, bytes, tags, idempotencyKey, delta, skipHistory }: OutboxRow): Uint8Array {
	const contents = bytes === null ? `"data":${data}` : `"b64data":"${bytes.toString("base64")}"`;
	const text = `{"channel":${JSON.stringify(channel)},${contents},"tags":${tags},"idempotency_key":${JSON.stringify(idempotencyKey)}`;
	return Buffer.from(`${text},"delta":${delta},"skip_history":${skipHistory}}`);
}

function resultOf(result: PublishResult): RowResult {
	switch (result.outcome) {
		case "accepted":
			return { outcome: result.duplicate ? "duplicate" : "published" };
		case "stopped":
			return { outcome: "dead", reason: "a handler did not let this message through" };
		case "too_large":
		case "invalid":
			return { outcome: "dead", reason: result.detail ?? result.outcome };
		case "failed":
			return { outcome: "later", reason: "a handler failed", triesMax: handlerTriesMax };
		default:
			return { outcome: "later", reason: result.detail ?? result.reason ?? "there is no room" };
	}
}
