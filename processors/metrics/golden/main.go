// Prints what Prometheus's own converter makes of the cases in metrics/, in the form of their want.txt:
//
//	go mod init golden && go get github.com/prometheus/prometheus@v0.313.5 && go run main.go metrics/CASE...
//
// With -write it writes want.txt.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func main() {
	write := flag.Bool("write", false, "write want.txt")
	flag.Parse()
	for _, dir := range flag.Args() {
		text, err := translate(dir)
		switch {
		case err != nil:
			fmt.Fprintf(os.Stderr, "%s: %v\n", dir, err)
		case *write:
			err = os.WriteFile(filepath.Join(dir, "want.txt"), []byte(text), 0o644)
		default:
			want, _ := os.ReadFile(filepath.Join(dir, "want.txt"))
			if text != string(want) {
				fmt.Printf("%s differs, Prometheus makes:\n%s", dir, text)
			}
		}
		if err != nil && *write {
			os.Exit(1)
		}
	}
}

func translate(dir string) (string, error) {
	in, err := os.ReadFile(filepath.Join(dir, "in.json"))
	if err != nil {
		return "", err
	}
	metrics, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(in)
	if err != nil {
		return "", err
	}
	app := &appender{}
	_, err = prometheusremotewrite.NewPrometheusConverter(app).FromMetrics(context.Background(), metrics, settings(dir))
	return app.text.String(), err
}

// settings reads the lines `key = value` of config.toml.
func settings(dir string) prometheusremotewrite.Settings {
	options := map[string]string{}
	file, _ := os.ReadFile(filepath.Join(dir, "config.toml"))
	for line := range strings.Lines(string(file)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			options[key] = value
		}
	}
	is := func(key string, unset bool) bool {
		if value, ok := options[key]; ok {
			return value == "true"
		}
		return unset
	}
	list := func(key string) []string {
		var names []string
		_ = json.Unmarshal([]byte(options[key]), &names)
		return names
	}
	strategy := strings.Trim(options["translation_strategy"], `"`)
	return prometheusremotewrite.Settings{
		AddMetricSuffixes: strategy == "" || strings.HasSuffix(strategy, "WithSuffixes"),
		AllowUTF8:         strings.HasPrefix(strategy, "No"),
		PromoteResourceAttributes: prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{
			PromoteAllResourceAttributes: is("promote_all_resource_attributes", false),
			PromoteResourceAttributes:    list("promote_resource_attributes"),
			IgnoreResourceAttributes:     list("ignore_resource_attributes"),
		}),
		KeepIdentifyingResourceAttributes:    is("keep_identifying_resource_attributes", false),
		ConvertHistogramsToNHCB:              is("convert_histograms_to_nhcb", false),
		PromoteScopeMetadata:                 is("promote_scope_metadata", false),
		LabelNameUnderscoreSanitization:      is("label_name_underscore_sanitization", true),
		LabelNamePreserveMultipleUnderscores: is("label_name_preserve_multiple_underscores", true),
	}
}

type appender struct{ text strings.Builder }

func (a *appender) Append(
	_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, _ *histogram.FloatHistogram,
	opts storage.AOptions,
) (storage.SeriesRef, error) {
	value := number(v)
	if h != nil {
		value = native(h)
	}
	fmt.Fprintf(&a.text, "{%s} %s @%d start=%d %s unit=%s help=%s\n",
		pairs(ls), value, t, st, opts.Metadata.Type, quoted(opts.Metadata.Unit), quoted(opts.Metadata.Help))
	for _, e := range opts.Exemplars {
		a.exemplar(e)
	}
	return 0, nil
}

func (a *appender) exemplar(e exemplar.Exemplar) {
	fmt.Fprintf(&a.text, "  exemplar {%s} %s @%d\n", pairs(e.Labels), number(e.Value), e.Ts)
}

func (*appender) Commit() error   { return nil }
func (*appender) Rollback() error { return nil }

func pairs(ls labels.Labels) string {
	var all []string
	ls.Range(func(l labels.Label) { all = append(all, quoted(l.Name)+"="+quoted(l.Value)) })
	return strings.Join(all, ", ")
}

func native(h *histogram.Histogram) string {
	threshold := strconv.FormatFloat(h.ZeroThreshold, 'e', -1, 64)
	if h.ZeroThreshold == 0 {
		threshold = "0e0"
	}
	var bounds []string
	for _, bound := range h.CustomValues {
		bounds = append(bounds, number(bound))
	}
	hint := map[histogram.CounterResetHint]string{histogram.UnknownCounterReset: "Unknown", histogram.GaugeType: "Gauge"}
	return fmt.Sprintf("histogram(schema=%d count=%d sum=%s zero=%d<=%s positive=%s negative=%s bounds=[%s] hint=%s)",
		h.Schema, h.Count, number(h.Sum), h.ZeroCount, threshold,
		side(h.PositiveSpans, h.PositiveBuckets), side(h.NegativeSpans, h.NegativeBuckets),
		strings.Join(bounds, ", "), hint[h.CounterResetHint])
}

func side(spans []histogram.Span, deltas []int64) string {
	var at, by []string
	for _, span := range spans {
		at = append(at, fmt.Sprintf("%d:%d", span.Offset, span.Length))
	}
	for _, delta := range deltas {
		by = append(by, strconv.FormatInt(delta, 10))
	}
	return strings.Join(at, ",") + "[" + strings.Join(by, ", ") + "]"
}

func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return fmt.Sprintf("NaN(%016x)", math.Float64bits(v))
	case math.IsInf(v, 0):
		return map[bool]string{true: "+Inf", false: "-Inf"}[v > 0]
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func quoted(text string) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text)
	return strings.TrimSpace(out.String())
}
