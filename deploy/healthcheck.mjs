// The container's health check: exit status 0 while /health says healthy or degraded, 1 otherwise (with the reasons on stderr).
// A degraded cluster still serves, so it must not be restarted for it. Node does the request since the image has no curl.
// Kubernetes asks for /ready as well: healthcheck.mjs /ready.
import { get } from "node:http";
import { connect } from "node:net";
import process from "node:process";

const address = process.env.SHARDCAST_LB_ADDR ?? ":3005";
const port = Number(address.slice(address.lastIndexOf(":") + 1));
const host = "127.0.0.1";
const path = process.argv[2] ?? "/health";

/** With --proxy-protocol each connection begins with a PROXY header: this one says that the connection is nobody else's. */
function withHeader() {
	const socket = connect(port, host);
	socket.write("PROXY UNKNOWN\r\n");
	return socket;
}

const usesHeader = /^(true|1)$/.test(process.env.SHARDCAST_PROXY_PROTOCOL ?? "");
const options = { host, port, path, timeout: 2500, ...(usesHeader ? { createConnection: withHeader } : { agent: false }) };

try {
	const { ok, text } = await new Promise((resolve, reject) => {
		const request = get(options, (response) => {
			let text = "";
			response.setEncoding("utf8").on("data", (piece) => {
				text += piece;
			});
			response.on("end", () => resolve({ ok: response.statusCode === 200, text }));
			response.on("error", reject);
		});
		request.on("timeout", () => request.destroy(new Error("it took longer than 2.5 s")));
		request.on("error", reject);
	});
	if (ok) process.exit(0);
	const { status, reasons, error } = JSON.parse(text);
	console.error(error === undefined ? `${status ?? "not ready"}: ${reasons.join("; ")}` : `${error.code}: ${error.message}`);
} catch (error) {
	console.error(`no answer from ${host}:${port}: ${error.message || error.code}`);
}
process.exit(1);
