// A backend that shardcast asks about its clients, with every hook. Its users are those of `sessions`; a real one looks into its database.
//   node examples/backend/backend.mjs 3000
//   npm start -- --config examples/backend/backend.yaml
import { createServer } from "node:http";

const [port = "3000", lifetime = "60"] = process.argv.slice(2);
const sessions = { "s-ann": "ann", "s-bob": "bob" };
const chats = { ann: ["chat:all", "chat:team"], bob: ["chat:all"] };
const later = () => Math.floor(Date.now() / 1000) + Number(lifetime);
const refused = (code, message) => ({ error: { code, message } });

const hooks = {
	/** Who is it? By the session cookie, or by `Authorization: Bearer`. */
	connect: (_, { cookie = "", authorization = "" }) => {
		const session = /\bsession=([\w-]+)/.exec(cookie)?.[1] ?? authorization.replace(/^Bearer /, "");
		const user = sessions[session];
		if (user === undefined) return { disconnect: { code: 4501, reason: "unauthorized" } };
		return {
			result: { user, expire_at: later(), info: { name: user }, meta: { session }, data: { chats: chats[user] }, channels: ["news"] },
		};
	},
	/** May it stay? */
	refresh: ({ user }) => ({ result: user in chats ? { expire_at: later() } : { expired: true } }),
	subscribe: ({ user, channel }) => {
		if (!chats[user]?.includes(channel)) return refused(403, "this chat is not yours");
		return { result: { expire_at: later(), info: { role: user === "ann" ? "owner" : "member" } } };
	},
	sub_refresh: ({ user, channel }) => ({ result: chats[user]?.includes(channel) ? { expire_at: later() } : { expired: true } }),
	publish: ({ user, data, meta }) => {
		if (typeof data?.text !== "string" || data.text.length > 200) return refused(1000, "a message is a text of at most 200 characters");
		return { result: { data: { text: data.text, by: user, session: meta.session.slice(-3) } } };
	},
	rpc: ({ user, method, data }) => {
		if (method === "chats") return { result: { data: chats[user] ?? [] } };
		if (method === "echo") return { result: { data } };
		return refused(404, `there is no method ${method}`);
	},
};

const server = createServer(async (request, response) => {
	const hook = hooks[request.url.slice(1)];
	let body = "";
	for await (const part of request) body += part;
	if (hook === undefined) return void response.writeHead(404).end();
	const reply = JSON.stringify(hook(JSON.parse(body), request.headers));
	console.log(`${request.url.slice(1)} ${body} -> ${reply}`);
	response.writeHead(200, { "content-type": "application/json" }).end(reply);
});
// Longer than shardcast keeps an idle connection open.
server.keepAliveTimeout = 10_000;
server.listen(Number(port), "127.0.0.1", () => console.log(`the backend listens on port ${port}`));
