package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"

	"github.com/selvage-dev/selvage/internal/infer/infertest"
)

// onnxGraph is a graph in ONNX's form, as its exporters write it: small operations that
// the runtime itself joins when it loads them.
type onnxGraph struct {
	message protobuf
	nodes   int
	tensors map[string]*infertest.Tensor
	bytes   bool // weights have 8 bits
}

// protobuf is a message that is being written.
type protobuf struct{ b []byte }

func (p *protobuf) number(field int, v int64) {
	p.b = binary.AppendUvarint(p.b, uint64(field)<<3)
	p.b = binary.AppendUvarint(p.b, uint64(v))
}

func (p *protobuf) float(field int, v float32) {
	p.b = binary.AppendUvarint(p.b, uint64(field)<<3|5)
	p.b = binary.LittleEndian.AppendUint32(p.b, math.Float32bits(v))
}

func (p *protobuf) bytes(field int, v []byte) {
	p.b = binary.AppendUvarint(p.b, uint64(field)<<3|2)
	p.b = binary.AppendUvarint(p.b, uint64(len(v)))
	p.b = append(p.b, v...)
}

func (p *protobuf) text(field int, v string) { p.bytes(field, []byte(v)) }

// The types of ONNX's tensors that are used.
const (
	onnxFloat = 1
	onnxInt8  = 3
	onnxInt64 = 7
)

func (g *onnxGraph) constant(name string, kind int64, dims []int, raw []byte) string {
	var t protobuf
	for _, d := range dims {
		t.number(1, int64(d))
	}
	t.number(2, kind)
	t.text(8, name)
	t.bytes(9, raw)
	g.message.bytes(5, t.b)
	return name
}

func rawFloats(x []float32) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func (g *onnxGraph) floats(name string, dims []int, x ...float32) string {
	return g.constant(name, onnxFloat, dims, rawFloats(x))
}

func (g *onnxGraph) ints(name string, x ...int64) string {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return g.constant(name, onnxInt64, []int{len(x)}, b)
}

// weight adds a tensor of the model.
func (g *onnxGraph) weight(name string) string {
	t := g.tensors[name]
	return g.floats(name, t.Shape, t.Data()...)
}

type attribute struct {
	name  string
	value any // float32, int64 or []int64
}

// node adds an operation and returns its output's name.
func (g *onnxGraph) node(op string, in []string, as ...attribute) string {
	g.nodes++
	out := fmt.Sprintf("%s_%d", op, g.nodes)
	g.nodeTo(op, in, []string{out}, as...)
	return out
}

func (g *onnxGraph) nodeTo(op string, in, out []string, as ...attribute) {
	var n protobuf
	for _, s := range in {
		n.text(1, s)
	}
	for _, s := range out {
		n.text(2, s)
	}
	n.text(3, "node_"+out[0])
	n.text(4, op)
	for _, a := range as {
		var p protobuf
		p.text(1, a.name)
		switch v := a.value.(type) {
		case float32:
			p.float(2, v)
			p.number(20, 1)
		case int64:
			p.number(3, v)
			p.number(20, 2)
		case []int64:
			for _, x := range v {
				p.number(8, x)
			}
			p.number(20, 7)
		}
		n.bytes(5, p.b)
	}
	g.message.bytes(1, n.b)
}

// linear is x·Wᵀ + bias. In 8 bits it is what ONNX Runtime's quantize_dynamic writes:
// weights with a scale for each channel, activations quantised as they come.
func (g *onnxGraph) linear(x, name string) string {
	t := g.tensors[name+".weight"]
	out, in := t.Shape[0], t.Shape[1]
	w := t.Data()
	bias := g.weight(name + ".bias")
	if !g.bytes {
		turned := make([]float32, len(w))
		for o := range out {
			for i := range in {
				turned[i*out+o] = w[o*in+i]
			}
		}
		y := g.node("MatMul", []string{x, g.floats(name+".turned", []int{in, out}, turned...)})
		return g.node("Add", []string{bias, y})
	}
	q, scales := make([]byte, len(w)), make([]float32, out)
	for o := range out {
		row := w[o*in : (o+1)*in]
		most := float32(1e-9)
		for _, v := range row {
			most = max(most, v, -v)
		}
		scales[o] = most / 127
		for i, v := range row {
			q[i*out+o] = byte(int8(math.RoundToEven(float64(v / scales[o]))))
		}
	}
	g.constant(name+".q", onnxInt8, []int{in, out}, q)
	g.floats(name+".s", []int{out}, scales...)
	g.constant(name+".z", onnxInt8, []int{out}, make([]byte, out))
	d := name + ".dynamic"
	g.nodeTo("DynamicQuantizeLinear", []string{x}, []string{d + ".x", d + ".s", d + ".z"})
	y := g.node("MatMulInteger", []string{d + ".x", name + ".q", d + ".z", name + ".z"})
	y = g.node("Cast", []string{y}, attribute{"to", int64(onnxFloat)})
	s := g.node("Mul", []string{d + ".s", name + ".s"})
	return g.node("Add", []string{bias, g.node("Mul", []string{y, s})})
}

func (g *onnxGraph) norm(x, name string) string {
	return g.node("LayerNormalization", []string{x, g.weight(name + ".weight"), g.weight(name + ".bias")},
		attribute{"axis", int64(-1)}, attribute{"epsilon", float32(1e-12)})
}

// embed adds the embeddings of tokens, and the mask that is added to scores.
func (g *onnxGraph) embed() (x, mask string) {
	g.ints("zero", 0)
	g.ints("one", 1)
	words := g.node("Gather", []string{g.weight("embeddings.word_embeddings.weight"), "input_ids"}, attribute{"axis", int64(0)})
	types := g.node("Gather", []string{g.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"}, attribute{"axis", int64(0)})
	length := g.node("Slice", []string{g.node("Shape", []string{"input_ids"}), "one", g.ints("two", 2), "zero"})
	positions := g.node("Slice", []string{g.weight("embeddings.position_embeddings.weight"), "zero", length, "zero"})
	x = g.node("Add", []string{g.node("Add", []string{words, types}), positions})
	x = g.norm(x, "embeddings.LayerNorm")
	m := g.node("Cast", []string{g.node("Unsqueeze", []string{"attention_mask", g.ints("middle", 1, 2)})}, attribute{"to", int64(onnxFloat)})
	m = g.node("Sub", []string{g.floats("1", nil, 1), m})
	return x, g.node("Mul", []string{m, g.floats("least", nil, -math.MaxFloat32)})
}

func (g *onnxGraph) layer(x, mask string, l int) string {
	p := fmt.Sprintf("encoder.layer.%d.", l)
	heads := func(name string, perm ...int64) string {
		y := g.node("Reshape", []string{g.linear(x, p+"attention.self."+name), "heads"})
		return g.node("Transpose", []string{y}, attribute{"perm", perm})
	}
	q, k, v := heads("query", 0, 2, 1, 3), heads("key", 0, 2, 3, 1), heads("value", 0, 2, 1, 3)
	s := g.node("Div", []string{g.node("MatMul", []string{q, k}), "root"})
	s = g.node("Softmax", []string{g.node("Add", []string{s, mask})}, attribute{"axis", int64(-1)})
	o := g.node("Transpose", []string{g.node("MatMul", []string{s, v})}, attribute{"perm", []int64{0, 2, 1, 3}})
	o = g.linear(g.node("Reshape", []string{o, "joined"}), p+"attention.output.dense")
	x = g.norm(g.node("Add", []string{o, x}), p+"attention.output.LayerNorm")
	f := g.linear(x, p+"intermediate.dense")
	e := g.node("Erf", []string{g.node("Div", []string{f, "sqrt2"})})
	f = g.node("Mul", []string{g.node("Mul", []string{f, g.node("Add", []string{e, "1"})}), "half"})
	return g.norm(g.node("Add", []string{g.linear(f, p+"output.dense"), x}), p+"output.LayerNorm")
}

// writeONNX writes an embedding model of the family "bert".
func writeONNX(path string, s *infertest.Spec, bytes bool) error {
	g := &onnxGraph{tensors: map[string]*infertest.Tensor{}, bytes: bytes}
	ts := s.Tensors()
	for i := range ts {
		g.tensors[ts[i].Name] = &ts[i]
	}
	g.message.text(2, "bert")
	x, mask := g.embed()
	head := s.Hidden / s.Heads
	g.ints("heads", 0, 0, int64(s.Heads), int64(head))
	g.ints("joined", 0, 0, int64(s.Hidden))
	g.floats("root", nil, float32(math.Sqrt(float64(head))))
	g.floats("sqrt2", nil, math.Sqrt2)
	g.floats("half", nil, 0.5)
	for l := range s.Layers {
		x = g.layer(x, mask, l)
	}
	g.nodeTo("Identity", []string{x}, []string{"last_hidden_state"})
	port := func(field int, name string, kind int64, dims ...string) {
		var shape, tensor, kinds, value protobuf
		for _, d := range dims {
			var dim protobuf
			dim.text(2, d)
			shape.bytes(1, dim.b)
		}
		tensor.number(1, kind)
		tensor.bytes(2, shape.b)
		kinds.bytes(1, tensor.b)
		value.text(1, name)
		value.bytes(2, kinds.b)
		g.message.bytes(field, value.b)
	}
	for _, name := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		port(11, name, onnxInt64, "batch", "tokens")
	}
	port(12, "last_hidden_state", onnxFloat, "batch", "tokens", "hidden")
	var m, opset protobuf
	m.number(1, 8)
	m.text(2, "selvage-bench")
	m.bytes(7, g.message.b)
	opset.text(1, "")
	opset.number(2, 17)
	m.bytes(8, opset.b)
	return os.WriteFile(path, m.b, 0o600)
}
