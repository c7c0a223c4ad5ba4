import { apiKeyMethods } from "../../api-methods.ts";
import { field } from "../../kind.ts";
import { list, secret, text } from "../../kinds.ts";
import { objects } from "../../objects.ts";
import { option } from "../../option.ts";

/** One key of the HTTP API besides `http_api.key`. */
const apiKeyFields = {
	name: field({
		key: "name",
		kind: text({ argument: "<name>", matches: /^[-a-zA-Z0-9_.]{1,64}$/, expected: "a name of letters, digits, - _ and ." }),
	}),
	key: field({ key: "key", kind: secret({ argument: "<key>", charactersMin: 8 }), default: undefined }),
	formerKey: field({ key: "former_key", kind: secret({ argument: "<key>", charactersMin: 8 }), default: undefined }),
	methods: field({ key: "methods", kind: list({ argument: "<names>", item: apiMethod }), default: [] }),
	channels: field({ key: "channels", kind: list({ argument: "<patterns>" }), default: [] }),
} as const;

function apiMethod(name: string): string {
	if (!(apiKeyMethods as readonly string[]).includes(name))
		throw new RangeError(`has "${name}", which is not a method of the server API: ${apiKeyMethods.join(", ")}`);
	return name;
}

/** Section `http_api`. */
export const httpApiOptions = {
	apiKey: option({
		flag: "api-key",
		key: "key",
		kind: secret({ argument: "<key>", charactersMin: 8 }),
		default: undefined,
		live: true,
		help: "Key that HTTP publishers must send, at least 8 characters; set it in the environment, where ps does not show it; none = open mode.",
	}),
	apiKeys: option({
		flag: "api-keys",
		key: "keys",
		kind: objects({ identity: "name", fields: apiKeyFields }),
		default: [],
		live: true,
		help: "More keys, each with a name for logs and metrics: a list of objects with name, key, former_key (the previous key, still valid while you rotate keys), methods (none = all) and channels (patterns such as chat:*; none = all).",
	}),
} as const;
