import { json, jsonLine } from "../routing/reply.ts";
import type { AnswerRoute } from "../routing/route.ts";
import { apiMethodDescriptions, errorSchema, type MethodDescription } from "./methods.ts";
import { flag, listOf, type Schema, table } from "./schema.ts";

const refOf = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const inJson = (schema: Schema) => ({ "application/json": { schema } });
const oneMember = (name: string, schema: Schema): Schema => table({ [name]: schema }, [name]);

/** All methods, including `batch`, whose commands and replies are those of the others. */
export const describedMethods: Readonly<Record<string, MethodDescription>> = {
	...apiMethodDescriptions,
	batch: {
		summary: "Runs several commands; one that fails does not stop the others.",
		request: table(
			{
				commands: listOf(
					{ anyOf: Object.keys(apiMethodDescriptions).map((name) => oneMember(name, refOf(`${name}_request`))) },
					"In order; each is an object with the name of a method and its request.",
					1000,
				),
				parallel: flag("16 at a time instead of one after the other."),
			},
			["commands"],
		),
		result: table(
			{
				replies: listOf(
					{ anyOf: [...Object.keys(apiMethodDescriptions).map((name) => oneMember(name, refOf(`${name}_result`))), errorSchema] },
					"One for each command, in order.",
				),
			},
			["replies"],
		),
	},
};

/** @param version of the server. */
export function openApiDocument(version: string): object {
	const methods = Object.entries(describedMethods);
	return {
		openapi: "3.1.0",
		info: {
			title: "shardcast server API",
			version,
			description: "Orders and questions of a backend. Names and shapes are those of Centrifugo.",
			license: { name: "Apache-2.0", identifier: "Apache-2.0" },
		},
		servers: [{ url: "/" }],
		security: [{ key: [] }, { authorization: [] }],
		paths: Object.fromEntries(methods.map(([name, { summary }]) => [`/api/${name}`, { post: operation(name, summary) }])),
		components: {
			securitySchemes: {
				key: { type: "apiKey", in: "header", name: "X-API-Key" },
				authorization: { type: "apiKey", in: "header", name: "Authorization", description: "`apikey` and the key." },
			},
			schemas: {
				error: errorSchema,
				refusal: table({ error: table({ code: { type: "string" }, message: { type: "string" } }, ["code", "message"]) }, ["error"]),
				...Object.fromEntries(
					methods.flatMap(([name, { request, result }]) => [
						[`${name}_request`, request],
						[`${name}_result`, result],
					]),
				),
			},
		},
	};
}

function operation(name: string, summary: string): object {
	const refused = (description: string) => ({ description, content: inJson(refOf("refusal")) });
	// A batch is answered like in Centrifugo.
	const result = name === "batch" ? refOf("batch_result") : table({ result: refOf(`${name}_result`) }, ["result"]);
	// `publish` reports errors by status only.
	const answer = name === "publish" ? result : { anyOf: [result, refOf("error")] };
	return {
		operationId: name,
		summary,
		requestBody: { required: true, content: inJson(refOf(`${name}_request`)) },
		responses: {
			"200": { description: name === "publish" ? "It is published." : "The result, or why there is none.", content: inJson(answer) },
			"400": refused("The body is not JSON."),
			"401": refused("There is no such key."),
			"403": { description: "The key has no right to it.", content: inJson({ anyOf: [refOf("refusal"), refOf("error")] }) },
			"413": refused("The body is too long."),
			"503": refused("The server stops, or is busy."),
		},
	};
}

/** `GET /api/openapi.json`, open to everybody: it reveals nothing about this server but its version. */
export function openApiRoute(version: string): AnswerRoute {
	const reply = { ...json(200, null), body: jsonLine(openApiDocument(version)) };
	return { kind: "answer", method: "GET", path: "/api/openapi.json", keepAlive: true, answer: () => reply };
}
