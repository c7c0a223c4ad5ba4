import type { IncomingMessage } from "node:http";
import { isLoopback, mayUseConsole } from "@shardcast/http";
import type { Answer } from "./answers.ts";
import { type Asset, consoleHeaders, loadConsoleAssets } from "./console-assets.ts";

/**
 * The console's page and what it loads. The page itself is guarded like its feed: without a token it is for this machine only. What the page loads (code and
 * styles, the same for everybody and in the public sources) is not, because a browser does not pass the page's token on.
 */
export function consoleRoutes(token: () => string | undefined): [string, (request: IncomingMessage) => Answer][] {
	return [...loadConsoleAssets()].map(([path, asset]) => [
		path,
		(request) => (path === "/console" ? page(request, asset, token()) : give(request, asset)),
	]);
}

function page(request: IncomingMessage, asset: Asset, token: string | undefined): Answer {
	const { searchParams } = new URL(request.url ?? "/", "http://console");
	const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
	const address = request.socket.remoteAddress ?? "";
	if (mayUseConsole(address, searchParams.get("token") ?? bearer ?? null, token)) return give(request, asset);
	const message =
		token === undefined && !isLoopback(address)
			? "the console answers this machine only; set --console-token to open it from elsewhere"
			: "open /console?token=… with the token of --console-token";
	return { status: 403, type: "text/plain; charset=utf-8", body: `${message}\n` };
}

function give(request: IncomingMessage, { type, body, etag }: Asset): Answer {
	const headers = { ...consoleHeaders, ETag: etag };
	if (request.headers["if-none-match"] === etag) return { status: 304, type, body: "", headers };
	return { status: 200, type, body, headers };
}
