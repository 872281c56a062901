// Writes v1.hex and v2.hex with Prometheus's own types, for the tests of v1.rs and v2.rs:
//
//	go mod init golden && go get github.com/prometheus/prometheus/prompb@v0.313.5 && go run main.go
package main

import (
	"encoding/hex"
	"math"
	"os"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

var stale = math.Float64frombits(0x7ff0000000000002)

func main() {
	write("v1.hex", v1)
	write("v2.hex", v2)
}

func v1() ([]byte, error) {
	request := prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{
			{
				Labels: []prompb.Label{{Name: "__name__", Value: "requests_total"}, {Name: "job", Value: "café"}},
				Samples: []prompb.Sample{
					{Value: 12.5, Timestamp: 1700000060000}, {Value: 0, Timestamp: -1}, {Value: stale, Timestamp: 1700000120000},
				},
				Exemplars: []prompb.Exemplar{
					{Labels: []prompb.Label{{Name: "trace_id", Value: "0af7"}}, Value: 0.25, Timestamp: 1700000059000},
				},
			},
			{
				Labels: []prompb.Label{{Name: "__name__", Value: "latency"}, {Name: "job", Value: "café"}},
				Histograms: []prompb.Histogram{{
					Count: &prompb.Histogram_CountInt{CountInt: 9}, Sum: 3.5, Schema: -2, ZeroThreshold: 1e-128,
					ZeroCount:      &prompb.Histogram_ZeroCountInt{ZeroCountInt: 1},
					NegativeSpans:  []prompb.BucketSpan{{Offset: -3, Length: 1}},
					NegativeDeltas: []int64{2},
					PositiveSpans:  []prompb.BucketSpan{{Offset: 0, Length: 2}, {Offset: 5, Length: 1}},
					PositiveDeltas: []int64{3, -2, 1},
					ResetHint:      prompb.Histogram_YES, Timestamp: 1700000060000,
				}},
			},
		},
		Metadata: []prompb.MetricMetadata{
			{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: "requests_total", Help: "Requests.", Unit: "requests"},
			{Type: prompb.MetricMetadata_HISTOGRAM, MetricFamilyName: "latency"},
		},
	}
	return request.Marshal()
}

func v2() ([]byte, error) {
	request := writev2.Request{
		Symbols: []string{
			"", "trace_id", "0af7", "Requests.", "requests", "__name__", "requests_total", "job", "café", "latency",
		},
		Timeseries: []writev2.TimeSeries{
			{
				LabelsRefs: []uint32{5, 6, 7, 8},
				Samples: []writev2.Sample{
					{Value: 12.5, Timestamp: 1700000060000, StartTimestamp: 1700000000000},
					{Value: 0, Timestamp: -1}, {Value: stale, Timestamp: 1700000120000},
				},
				Exemplars: []writev2.Exemplar{{LabelsRefs: []uint32{1, 2}, Value: 0.25, Timestamp: 1700000059000}},
				Metadata:  writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: 3, UnitRef: 4},
			},
			{
				LabelsRefs: []uint32{5, 9, 7, 8},
				Histograms: []writev2.Histogram{{
					Count: &writev2.Histogram_CountFloat{CountFloat: 4.5}, Sum: 3.5, Schema: -53,
					ZeroCount:      &writev2.Histogram_ZeroCountFloat{ZeroCountFloat: 0},
					PositiveSpans:  []writev2.BucketSpan{{Offset: 0, Length: 2}},
					PositiveCounts: []float64{4, 0.5},
					ResetHint:      writev2.Histogram_RESET_HINT_GAUGE, Timestamp: 1700000060000,
					CustomValues: []float64{0.5, 1}, StartTimestamp: 1700000000000,
				}},
				Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_HISTOGRAM},
			},
		},
	}
	return request.Marshal()
}

func write(name string, request func() ([]byte, error)) {
	bytes, err := request()
	if err == nil {
		err = os.WriteFile(name, []byte(hex.EncodeToString(bytes)+"\n"), 0o644)
	}
	if err != nil {
		panic(err)
	}
}
