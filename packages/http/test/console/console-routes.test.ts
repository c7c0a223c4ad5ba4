import { describe, expect, it } from "vitest";
import { consoleRoutes } from "../../src/console/console-routes.ts";
import type { AnswerRoute, HttpRequest, Reply } from "../../src/index.ts";

function ask(path: string, query: string, token: string | undefined, address = "127.0.0.1", authRequired = false): Reply {
	const route = consoleRoutes(() => ({ token, authRequired })).find((each: AnswerRoute) => each.path === path);
	const request: HttpRequest = { method: "GET", path, query, address, header: () => "" };
	return route!.answer(request) as Reply;
}

describe("the console's page", () => {
	it.each([
		["from elsewhere, without a token set", "", undefined, "10.0.0.1", /answers this machine only; set --console-token/],
		["without the token", "", "correct-horse", "127.0.0.1", /open \/console\?token=… with the token of --console-token/],
		["with a wrong token", "token=wrong-horse", "correct-horse", "127.0.0.1", /^this is not the token of --console-token$/],
	])("is refused %s, in JSON and with the reason", (_how, query, token, address, message) => {
		const { status, body, type, headers, close } = ask("/console", query, token, address);
		expect({ status, type, headers, close }).toEqual({
			status: 403,
			type: undefined,
			headers: { "Cache-Control": "no-store" },
			close: true,
		});
		expect(JSON.parse(String(body))).toEqual({ error: { code: "forbidden", message: expect.stringMatching(message) } });
	});

	it("is closed where authentication is required and there is no token", () => {
		const { status, body } = ask("/console", "", undefined, "127.0.0.1", true);
		expect(status).toBe(403);
		expect(String(body)).toContain("set --console-token");
		expect(ask("/console", "token=correct-horse", "correct-horse", "127.0.0.1", true).status).toBe(200);
	});

	it("is given with the token, and on this machine when none is set", () => {
		expect(ask("/console", "token=correct-horse", "correct-horse", "10.0.0.1").status).toBe(200);
		expect(ask("/console", "", undefined).status).toBe(200);
	});

	it.each([
		["", "/console"],
		["token=correct-horse", "/console?token=correct-horse"],
	])("/console/ leads to it, ?%s included", (query, location) => {
		expect(ask("/console/", query, undefined)).toMatchObject({ status: 308, headers: { Location: location } });
	});
});
