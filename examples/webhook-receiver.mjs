// Receives the webhooks of shardcast, and prints each event once: WEBHOOK_SECRET=… node examples/webhook-receiver.mjs [port]
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

/** Whether a request comes from a shardcast that knows the secret, and is not older than five minutes. `body` = its bytes as they came. */
export function isFromShardcast(headers, body, secret) {
	const timestamp = headers["x-shardcast-timestamp"] ?? "";
	if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) return false;
	const expected = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest();
	return (headers["x-shardcast-signature"] ?? "").split(",").some((one) => {
		const given = Buffer.from(one.replace(/^v1=/, ""), "hex");
		return given.length === expected.length && timingSafeEqual(given, expected);
	});
}

/** Calls `onEvent` once for each event, although requests may come twice. `onGap` gets the number of events that will not come. */
export function reader(onEvent, onGap) {
	let stream = "";
	let last = 0;
	return (body) => {
		const { stream: ofBody, events } = JSON.parse(body);
		if (ofBody !== stream) [stream, last] = [ofBody, 0];
		for (const event of events) {
			if (event.seq <= last) continue;
			if (event.seq > last + 1) onGap(event.seq - last - 1);
			last = event.seq;
			onEvent(event);
		}
	};
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
	const read = reader(
		(event) => console.log(JSON.stringify(event)),
		(missing) => console.error(`${missing} events are lost`),
	);
	createServer(async (request, response) => {
		const parts = [];
		for await (const part of request) parts.push(part);
		const body = Buffer.concat(parts);
		const isValid = isFromShardcast(request.headers, body, process.env.WEBHOOK_SECRET ?? "");
		if (isValid) read(body);
		response.writeHead(isValid ? 204 : 401).end();
	}).listen(Number(process.argv[2] ?? 3000));
}
