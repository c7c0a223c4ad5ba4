import { field } from "../../kind.ts";
import { autoToggle, list, pemFile, secret } from "../../kinds.ts";
import { objects } from "../../objects.ts";
import { everywhere, option } from "../../option.ts";

const path = () => pemFile("<path>");

/** A certificate besides the first. */
const certificateFields = {
	certFile: field({ key: "cert_pem_file", kind: path() }),
	keyFile: field({ key: "key_pem_file", kind: path(), default: "" }),
	serverNames: field({ key: "server_names", kind: list({ argument: "<names>" }), default: [] }),
} as const;

/** Section `http_server`. */
export const httpServerOptions = {
	tlsEnabled: option({
		flag: "tls",
		key: "tls.enabled",
		kind: autoToggle(),
		default: undefined,
		commands: everywhere,
		help: "TLS (https:// and wss://) on the balancer's address and the shards' ports, or on that of an edge or a gateway, which then accept nothing else; auto = as soon as a certificate is given.",
	}),
	tlsCert: option({
		flag: "tls-cert",
		key: "tls.cert_pem_file",
		otherKey: "tls.cert_pem",
		kind: path(),
		default: "",
		commands: everywhere,
		live: true,
		help: "PEM file with the server's certificate, followed by the intermediate ones; it is read again when it changes, and on SIGHUP.",
	}),
	tlsKey: option({
		flag: "tls-key",
		key: "tls.key_pem_file",
		otherKey: "tls.key_pem",
		kind: path(),
		default: "",
		commands: everywhere,
		live: true,
		help: "PEM file with the certificate's private key, RSA or ECDSA; it may be the same file.",
	}),
	tlsKeyPassphrase: option({
		flag: "tls-key-passphrase",
		key: "tls.key_passphrase",
		kind: secret({ argument: "<text>", charactersMin: 4 }),
		default: undefined,
		commands: everywhere,
		live: true,
		help: "Passphrase of encrypted private keys; set it in the environment, where ps does not show it.",
	}),
	tlsCertificates: option({
		flag: "tls-certificates",
		key: "tls.certificates",
		kind: objects({ identity: "certFile", fields: certificateFields }),
		default: [],
		commands: everywhere,
		live: true,
		help: "More certificates, for clients that ask for other server names (SNI): a list of objects with cert_pem_file, key_pem_file and server_names (none = the names in the certificate).",
	}),
} as const;
