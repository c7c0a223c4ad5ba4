// Handles each message of a durable channel at least once, in order, also after a restart of this program or of the server.
//   node examples/durable-consumer.mjs ws://127.0.0.1:3005 orders:new billing
// With TOKEN=… in the environment it connects with that token: shardcast token create --user ann
import { Centrifuge } from "centrifuge";
import { durableSubscription } from "shardcast/client";
import { WebSocket } from "ws";

const [server = "ws://127.0.0.1:3005", channel = "orders:new", consumer = "billing"] = process.argv.slice(2);

const client = new Centrifuge(`${server}/connection/websocket`, { token: process.env.TOKEN ?? "", websocket: WebSocket });
client.on("connected", () => console.error(`connected to ${server}`));
client.on("disconnected", ({ code, reason }) => {
	console.error(`closed: ${code} ${reason}`);
	if (code >= 3500) process.exit(1);
});

const subscription = durableSubscription(client, channel, {
	consumer,
	// Acknowledged when this is done. If it throws, the message is sent again.
	onMessage: async ({ data, offset }) => {
		console.log(`${offset} ${JSON.stringify(data)}`);
	},
	onError: (error, { offset }) => console.error(`message ${offset} failed: ${error}`),
	onLost: () => console.error("messages are gone that were never handled: the history is too short"),
});

client.connect();

process.once("SIGINT", async () => {
	await subscription.close();
	client.disconnect();
});
