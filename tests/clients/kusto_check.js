// Microsoft's own parser of Kusto, the one behind Azure Monitor, over queries and tables that come as
// JSON on stdin: {"tables": {NAME: [[COLUMN, TYPE]]}, "queries": {NAME: TEXT}}. Answers, as JSON, what
// it finds wrong with each query, and the columns that come out of it.
require("@kusto/language-service-next/bridge.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.js");

const { KustoCode, GlobalState, Symbols } = Kusto.Language;
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));

const items = (list) => Array.from({ length: list.Count }, (_, index) => list.getItem(index));
const tables = Object.entries(given.tables).map(
  ([name, columns]) =>
    new Symbols.TableSymbol.$ctor4(
      name,
      columns.map(
        ([column, type]) =>
          new Symbols.ColumnSymbol(column, Symbols.ScalarTypes.GetSymbol(type), null, null, null, null),
      ),
    ),
);
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", tables));

const answers = {};
for (const [name, text] of Object.entries(given.queries)) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const result = code.ResultType;
  answers[name] = {
    wrong: items(code.GetDiagnostics()).map(
      (one) => `${one.Severity} ${one.Code}: ${one.Message} at ${text.substr(one.Start, one.Length)}`,
    ),
    columns: result && result.Columns ? items(result.Columns).map((one) => [one.Name, one.Type.Name]) : [],
  };
}
process.stdout.write(JSON.stringify(answers));
