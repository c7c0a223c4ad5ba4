import { checkRoute, type LoadedConfig, loadCertificates, type NameOf } from "@shardcast/config";
import { type Finding, fromLine, ok, type Subject, unlessRefused } from "../finding.ts";

const options: Subject = { id: "options", area: "options", why: "such an option has no effect, or another one than it seems" };
const tls: Subject = {
	id: "tls",
	area: "options",
	why: "a certificate that can't be used keeps the server from starting; an expired one keeps clients away",
};
const route: Subject = { id: "kafka-route", area: "options", why: "a module that does not load keeps the server from starting" };

/** Files that options name. Wrong options have already ended the program, with a line each. */
export async function optionFindings({ config, warnings, file }: LoadedConfig, name: NameOf): Promise<Finding[]> {
	const source = file === null ? "no config file" : `config file ${file}`;
	return [
		...(warnings.length === 0
			? [ok(options, `all options are valid (${source})`)]
			: warnings.map((line) => fromLine(options, "warning", line))),
		...(await unlessRefused(
			tls,
			() => loadCertificates(config, name),
			({ certificates, warnings: lines }) => {
				if (lines.length > 0) return lines.map((line) => fromLine(tls, "warning", line));
				return [ok(tls, certificates.length === 0 ? "TLS is off" : `${certificates.length} certificates can be used`)];
			},
		)),
		...(config.kafkaRoute === ""
			? []
			: await unlessRefused(
					route,
					() => checkRoute(config, name),
					() => [ok(route, `${config.kafkaRoute} loads`)],
				)),
	];
}
