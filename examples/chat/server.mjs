// The web server of the chat: its page, the client library, and a token for any name. See docs/tutorials/chat.md.
//   node examples/chat/server.mjs [port] [address of the cluster]
import { createHmac } from "node:crypto";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";

const [port = "8080", cluster = "ws://127.0.0.1:3005"] = process.argv.slice(2);
const secret = process.env.CHAT_TOKEN_SECRET ?? "only-for-the-tutorial";

/** A JSON Web Token that says who the user is, for ten minutes. */
function tokenFor(user) {
	const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
	const claims = { sub: user, exp: Math.floor(Date.now() / 1000) + 600 };
	const unsigned = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
	return `${unsigned}.${createHmac("sha256", secret).update(unsigned).digest("base64url")}`;
}

const files = {
	"/": ["text/html; charset=utf-8", new URL("index.html", import.meta.url)],
	// npm install centrifuge
	"/centrifuge.js": ["text/javascript", new URL("../dist/centrifuge.js", import.meta.resolve("centrifuge"))],
};

const server = createServer((request, response) => {
	const { pathname, searchParams } = new URL(request.url, "http://localhost");
	if (pathname === "/token") {
		// A real server takes the user from its session, after a login. This one believes any name.
		const user = searchParams.get("user") ?? "";
		if (!/^[\w-]{1,20}$/.test(user)) return response.writeHead(400).end("a name has 1 to 20 letters, digits, _ or -");
		response.setHeader("Content-Type", "application/json");
		return response.end(JSON.stringify({ token: tokenFor(user), url: `${cluster}/connection/websocket` }));
	}
	const file = files[pathname];
	if (file === undefined) return response.writeHead(404).end();
	response.setHeader("Content-Type", file[0]);
	createReadStream(file[1]).pipe(response);
});
server.listen(Number(port), "127.0.0.1", () => console.log(`serving at http://127.0.0.1:${server.address().port}`));
